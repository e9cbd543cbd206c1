import { describe, expect, test } from 'vitest'
import { beginningOf, pathsOf, type StagedTable } from '../../bench/data.ts'
import { repeated, stagedSource } from '../../bench/staged-source.ts'

const table: StagedTable = {
  schema: { table: 't', columns: [], partitionKeys: [] },
  directory: '/data',
  files: [
    { name: 's/a.parquet', bytes: 1, rows: 10 },
    { name: 's/b.parquet', bytes: 1, rows: 20 },
    { name: 's/c.parquet', bytes: 1, rows: 30 },
  ],
  rows: 60,
}

describe('a staged table', () => {
  test('begins with as many whole files as it takes', () => {
    expect(beginningOf(table, 10)).toMatchObject({ rows: 10, files: [{ rows: 10 }] })
    expect(beginningOf(table, 11)).toMatchObject({ rows: 30, files: [{ rows: 10 }, { rows: 20 }] })
    expect(beginningOf(table, 1_000).rows).toBe(60)
  })

  test('repeated, has all files again, by other names for the same paths', () => {
    const twice = repeated(table, 2)

    expect(twice.rows).toBe(120)
    expect(new Set(twice.files.map(({ name }) => name)).size).toBe(6)
    expect(pathsOf(twice)).toEqual([...pathsOf(table), ...pathsOf(table)])
  })

  test('as a source is neither staged nor discarded, and leaves a filter to the lanes', async () => {
    const source = stagedSource({ table })
    const { signal } = new AbortController()
    const list = { count: 1, inline: ['x'] }
    const type = { kind: 'string' } as const
    const window = { column: 'at', type, start: 'a', end: 'b' }
    const schema = await source.describe('table', signal)
    const filter = { column: 'c', type, list, async *values() {} }
    const request = { jobId: 'j', stagingId: 's', schema, window, filter, sorted: false, fileBytes: 1 }

    const staged = await source.stage(request, undefined, async () => {}, signal)

    expect(staged).toEqual({ files: table.files, residual: { filter: { column: 'c', type, values: list } } })
    expect(await source.access(table.files[1]!, signal)).toEqual({ path: '/data/s/b.parquet' })
    await expect(source.describe('other', signal)).rejects.toThrow('no staged table other')
  })
})
