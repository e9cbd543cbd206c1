import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Json } from '../../src/core/json.ts'
import { duckdbSource } from '../../src/sources/duckdb.ts'
import type { Source, StageRequest } from '../../src/sources/source.ts'
import { sourceTestRows, testSource } from '../../src/testing/source.ts'

let stagingDir: string
let warehouse: DuckDBInstance

beforeAll(async () => {
  stagingDir = await mkdtemp(join(tmpdir(), 'millrace-source-'))
  warehouse = await DuckDBInstance.create()
  const connection = await warehouse.connect()
  await connection.run('CREATE TABLE t (id BIGINT, "at" TIMESTAMP, name VARCHAR)')
  const insert = await connection.prepare(
    `INSERT INTO t SELECT unnest(from_json($1, '[{"id": "BIGINT", "at": "TIMESTAMP", "name": "VARCHAR"}]'), recursive := true)`,
  )
  insert.bindVarchar(1, JSON.stringify(sourceTestRows()))
  await insert.run()
  connection.closeSync()
})
afterAll(() => rm(stagingDir, { recursive: true }))

function honest(): Source {
  return duckdbSource({ database: warehouse, stagingDir, tables: { t: { partitionKeys: ['at'] } } })
}

/** A source that stages another request than it was asked for. */
function staging(change: (request: StageRequest) => StageRequest): Source {
  const source = honest()
  return { ...source, stage: (request, ...rest) => source.stage(change(request), ...rest) }
}

function later(time: string): string {
  return new Date(Date.parse(time) + 1_000).toISOString().replace('.000', '')
}

describe('testSource', () => {
  it.each<[string, () => Source, RegExp]>([
    [
      'includes the end of a window',
      () => staging(({ window, ...request }) => ({ ...request, window: { ...window, end: later(window.end) } })),
      /holds its start and not its end/,
    ],
    [
      'excludes the start of a window',
      () => staging(({ window, ...request }) => ({ ...request, window: { ...window, start: later(window.start) } })),
      /holds its start and not its end/,
    ],
    ['forgets the filter', () => staging(({ filter, ...request }) => request), /lets pass what is in its list/],
    ['forgets the order', () => staging(request => ({ ...request, sorted: false })), /in the order of the window/],
    ['estimates another number of rows', () => ({ ...honest(), estimate: async (...args) => ({ ...(await honest().estimate!(...args)), rows: 7 }) }), /an estimate counts/], // biome-ignore format: one flaw a line
    ['discards nothing', () => ({ ...honest(), discard: async () => {} }), /removes one staging and no other/],
    [
      'discards what has a longer name as well',
      () => ({
        ...honest(),
        async discard(stagingId) {
          const names = (await readdir(stagingDir)).filter(name => name.startsWith(stagingId))
          for (const name of names) await rm(join(stagingDir, name), { recursive: true })
        },
      }),
      /removes one staging and no other/,
    ],
    [
      'stages a file without rows',
      () => ({ ...honest(), stage: async () => ({ files: [{ name: 'empty.parquet', bytes: 100, rows: 0 }] }) }),
      /a window without rows/,
    ],
    [
      'counts rows wrong',
      () => ({
        ...honest(),
        async stage(...args) {
          const { files } = await honest().stage(...args)
          return { files: files.map(file => ({ ...file, rows: file.rows! + 1 })) }
        },
      }),
      /names of their own and true sizes/,
    ],
    [
      'does not stop',
      () => ({
        ...honest(),
        stage: (request, saved, save) => honest().stage(request, saved, save, new AbortController().signal),
      }),
      /ends with the reason of its signal/,
    ],
    [
      'saves what does not survive',
      () => ({
        ...honest(),
        async stage(request, saved, save, signal) {
          await save({ since: new Date() } as unknown as Json)
          return honest().stage(request, saved, save, signal)
        },
      }),
      /is plain data, by which another goes on/,
    ],
    [
      'forgets rows when it goes on',
      () => ({
        ...honest(),
        async stage(request, saved, save, signal) {
          if (saved === undefined) await save({ query: 1 })
          return saved === undefined ? honest().stage(request, saved, save, signal) : { files: [] }
        },
      }),
      /is plain data, by which another goes on/,
    ],
    [
      'fails with nothing of note when it cannot go on',
      () => ({
        ...honest(),
        async stage(request, saved, save, signal) {
          if (saved !== undefined) throw new TypeError('undefined is not a function')
          await save({ query: 1 })
          return honest().stage(request, saved, save, signal)
        },
      }),
      /is plain data, by which another goes on/,
    ],
    [
      'hands out a file once',
      () => {
        const source = honest()
        const seen = new Set<string>()
        return {
          ...source,
          async access(file, signal) {
            if (seen.has(file.name)) throw new Error('it was read')
            seen.add(file.name)
            return source.access(file, signal)
          },
        }
      },
      /files may be read as often as one likes/,
    ],
    ['describes every table', () => ({ ...honest(), describe: (_, signal) => honest().describe('t', signal) }), /not in the catalogue/], // biome-ignore format: one flaw a line
  ])('fails a source that %s', async (_, create, name) => {
    const test = testSource({ create, table: 't' }).find(each => name.test(each.name))!
    await testSource({ create: honest, table: 't' })
      .find(each => name.test(each.name))!
      .run()
    await expect(test.run()).rejects.toThrow()
  })
})
