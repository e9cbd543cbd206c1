import { expect, it } from 'vitest'
import { openDatabase } from '../../../src/stores/sqlite/database.ts'
import { listStatement } from '../../../src/stores/sqlite/jobs.ts'
import type { ListQuery } from '../../../src/stores/store.ts'
import { temporaryFolder } from '../folder.ts'

const FILTERS = [
  { organizationId: 'o' },
  { status: 'failed' },
  { table: 't' },
  { before: { timeCreated: 'x', jobId: 'y' } },
] as const
const QUERIES = Array.from(
  { length: 1 << FILTERS.length },
  (_, bits): ListQuery => Object.assign({}, ...FILTERS.filter((_, filter) => bits & (1 << filter))),
)

it.each(QUERIES)('a list by %j reads only its own rows, in order, from one index', query => {
  const db = openDatabase(`${temporaryFolder()}/jobs.sqlite`)
  const { sql, params } = listStatement(query)
  const plan = db
    .all<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`, { ...params, limit: 100 })
    .map(step => step.detail)
  db.close()
  expect(plan).toHaveLength(1)
  const conditions = [
    'organizationId' in query && 'organization_id=?',
    'status' in query && 'status=?',
    'table' in query && 'table_name=?',
    'before' in query && '(time_created,job_id)<(?,?)',
  ].filter(condition => condition !== false)
  const expected =
    conditions.length === 0 ? /^SCAN jobs USING INDEX jobs_by_time$/ : /^SEARCH jobs USING INDEX jobs_by_\w+ \((.*)\)$/
  expect(plan[0]).toMatch(expected)
  expect(expected.exec(plan[0]!)?.[1] ?? '').toBe(conditions.join(' AND '))
})
