import { expect, test } from 'vitest'
import type { Column, TableSchema } from '../../src/columnar/column-type.ts'
import type { MillraceError } from '../../src/core/errors.ts'
import { resolveRequest } from '../../src/core/resolve.ts'
import type { Source } from '../../src/sources/source.ts'

const column = (name: string, type: Column['type'], native: string): Column => ({ name, type, native, nullable: true })
const transfers: TableSchema = {
  table: 'base.transfers',
  columns: [
    column('block_timestamp', { kind: 'timestamp', unit: 'us', zone: false }, 'TIMESTAMP'),
    column('block', { kind: 'integer', bits: 64, signed: true }, 'BIGINT'),
    column('token', { kind: 'string' }, 'VARCHAR'),
    column('amount', { kind: 'decimal', precision: 38, scale: 6 }, 'DECIMAL(38,6)'),
    column('tags', { kind: 'other' }, 'VARCHAR[]'),
  ],
  partitionKeys: ['block_timestamp', 'block'],
}
const source = {
  tables: async () => ['base.transfers', 'flights'],
  describe: async () => transfers,
} as Partial<Source> as Source
const sets = new Map([['sha256:'.padEnd(71, '0'), ['7', '8']]])
const store = {
  async valueSet(ref: string) {
    const values = sets.get(ref)
    return (
      values && {
        ref,
        count: values.length,
        values: async function* () {
          yield values
        },
      }
    )
  },
}
const sinks = [
  { type: 'kafka', name: 'out' },
  { type: 'file', name: 'out' },
]

const good = {
  table: 'base.transfers',
  backfill_window: { start: '2026-03-01T00:00:00', end: '2026-04-01T00:00:00+02:00' },
  destinations: [{ type: 'kafka', name: 'out' }],
}

function resolve(input: unknown): ReturnType<typeof resolveRequest> {
  return resolveRequest(input, { source, store, sinks }, new AbortController().signal)
}

async function problemsOf(input: unknown): Promise<readonly string[]> {
  const error = (await resolve(input).then(
    () => expect.unreachable(),
    error => error,
  )) as MillraceError
  expect(error.code).toBe('invalid_request')
  return error.problems.map(problem => `${problem.path}: ${problem.message}`)
}

test('a good request is resolved to canonical text, with the first partition key as default', async () => {
  const resolved = await resolve({ ...good, filter: { column: 'amount', values: ['1.5', 2, '2.000000'] } })
  expect(resolved.window).toMatchObject({
    column: 'block_timestamp',
    start: '2026-03-01T00:00:00Z',
    end: '2026-03-31T22:00:00Z',
  })
  expect(resolved.filter?.list).toEqual({ count: 3, inline: ['1.500000', '2.000000', '2.000000'] })
  expect(resolved.request.backfill_window.end).toBe('2026-04-01T00:00:00+02:00')
})

test('integer keys take integer bounds', async () => {
  const { window } = await resolve({
    ...good,
    backfill_window: { partition_key: 'block', start: 27_000_000, end: '27000001' },
  })
  expect(window).toMatchObject({ column: 'block', start: '27000000', end: '27000001' })
})

test('a bound finer than the unit of the column is rounded up', async () => {
  const { window } = await resolve({
    ...good,
    backfill_window: { start: '2026-03-01T00:00:00.0000001', end: '2026-03-02T00:00:00' },
  })
  expect(window.start).toBe('2026-03-01T00:00:00.000001Z')
})

test('a destination has the same uid in every job, and another than its neighbours', async () => {
  const both = { ...good, destinations: sinks }
  const [first, second] = (await resolve(both)).destinations
  expect((await resolve(both)).destinations[0]).toEqual(first)
  expect(first!.uid).not.toBe(second!.uid)
  expect(first!.uid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
})

test('a unique key that names a column which the table does not have is a problem of its destination', async () => {
  const keyed = (uniqueKey: string[]) => {
    const sinks = [{ type: 'kafka', name: 'out', uniqueKey }]
    return resolveRequest(good, { source, store, sinks }, new AbortController().signal)
  }
  await expect(keyed(['token', 'tokken'])).rejects.toMatchObject({
    problems: [
      {
        path: 'destinations[0]',
        message: 'the unique key of kafka/out names "tokken", which the table does not have',
      },
    ],
  })
  await expect(keyed(['token'])).resolves.toHaveProperty('schema')
})

test('every problem is told at once, malformed and unknown alike, each with its path', async () => {
  const problems = await problemsOf({
    table: 'base.transfer',
    backfill_window: { start: '2026-03-01' },
    filter: { column: 'token', values: [] },
    destinations: [{ type: 'kafka', name: 'in' }],
    surprise: 1,
  })
  expect(problems).toEqual([
    'backfill_window.end: must be an ISO 8601 time, or an integer for an integer key',
    'filter.values: must not be empty',
    '(request): Unrecognized key: "surprise"',
    'destinations[0]: unknown destination kafka/in; there are kafka/out, file/out',
    'table: unknown table base.transfer; there are base.transfers, flights',
  ])
})

test('what the table does not have is named with what it has', async () => {
  expect(await problemsOf({ ...good, filter: { column: 'tokn', values: ['x'] } })).toEqual([
    'filter.column: unknown column tokn in base.transfers; there are block_timestamp, block, token, amount, tags',
  ])
  expect(await problemsOf({ ...good, backfill_window: { ...good.backfill_window, partition_key: 'token' } })).toEqual([
    'backfill_window.partition_key: token is not a partition key of base.transfers; there are block_timestamp, block',
  ])
})

test.each([
  [
    { start: '2026-03-01', end: '2026-03-01' },
    'backfill_window.end: must be after start: 2026-03-01 to 2026-03-01 is an empty window',
  ],
  [
    { start: '2026-03-02', end: '2026-03-01' },
    'backfill_window.end: must be after start: 2026-03-02 to 2026-03-01 is an empty window',
  ],
  [
    { start: '2026-02-30T00:00:00', end: '2026-03-01' },
    'backfill_window.start: must be a date or time that exists, as 2026-03-01T00:00:00Z (ISO 8601) (block_timestamp is TIMESTAMP)',
  ],
  [
    { start: 5, end: '2026-03-01' },
    'backfill_window.start: must be a date or time that exists, as 2026-03-01T00:00:00Z (ISO 8601), not a number (block_timestamp is TIMESTAMP)',
  ],
  [{ partition_key: 'block', start: 1, end: 'soon' }, 'backfill_window.end: must be an integer (block is BIGINT)'],
])('a window that cannot be is refused: %j', async (backfill_window, problem) => {
  expect(await problemsOf({ ...good, backfill_window })).toEqual([problem])
})

test('values that cannot be of the type of the column are named by their place, never by their content', async () => {
  expect(await problemsOf({ ...good, filter: { column: 'amount', values: ['1', 'secret', '0.1234567'] } })).toEqual([
    'filter.values[1]: must be a decimal number (amount is DECIMAL(38,6))',
    'filter.values[2]: has more than the 6 decimal places of the column (amount is DECIMAL(38,6))',
  ])
  expect(await problemsOf({ ...good, filter: { column: 'tags', values: ['x'] } })).toEqual([
    'filter.values[0]: cannot be compared with a column of this type (tags is VARCHAR[])',
  ])
})

test('of very many bad values the first twenty are told', async () => {
  const problems = await problemsOf({
    ...good,
    filter: { column: 'amount', values: Array.from({ length: 500 }, () => 'x') },
  })
  expect(problems).toHaveLength(21)
  expect(problems.at(-1)).toBe('filter.values: more values like these')
})

test('a destination named twice, an unknown value set, and an egress address that nobody configured are refused', async () => {
  expect(await problemsOf({ ...good, destinations: [...good.destinations, ...good.destinations] })).toEqual([
    'destinations[1]: kafka/out is named twice',
  ])
  const ref = `sha256:${'1'.repeat(64)}`
  expect(await problemsOf({ ...good, filter: { column: 'block', values_ref: ref } })).toEqual([
    `filter.values_ref: there is no value set ${ref}: upload it first`,
  ])
  expect(await problemsOf({ ...good, static_egress_ip: true })).toEqual([
    'static_egress_ip: kafka/out has no static egress address configured',
  ])
})

test('a value set is read as the type of the column, each time it is asked for', async () => {
  const { filter } = await resolve({ ...good, filter: { column: 'amount', values_ref: [...sets.keys()][0] } })
  for (let round = 0; round < 2; round++) {
    const values: string[] = []
    for await (const piece of filter!.values()) values.push(...piece)
    expect(values).toEqual(['7.000000', '8.000000'])
  }
})

test.each([null, 'x', [], 5])('a request that is no object is refused: %j', async input => {
  expect((await problemsOf(input))[0]).toContain('(request): ')
})
