import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readStagedLines, stageRequest } from '../../../src/testing/source-driver.ts'
import type { SnowflakeServer } from '../../servers/snowflake/server.ts'
import { never, sourceOn, startAccount } from './account.ts'

const TYPES = {
  ID: 'NUMBER(38,0) NOT NULL',
  PRICE: 'NUMBER(20,6)',
  RATIO: 'FLOAT',
  TEXT: 'VARCHAR(16777216)',
  IS_IT: 'BOOLEAN',
  DAY: 'DATE',
  TIME: 'TIME(9)',
  BYTES: 'BINARY(8388608)',
  WALL: 'TIMESTAMP_NTZ(9)',
  LOCAL: 'TIMESTAMP_LTZ(9)',
  ZONED: 'TIMESTAMP_TZ(9)',
  ANY: 'VARIANT',
  OBJECT: 'OBJECT',
  LIST: 'ARRAY',
  PLACE: 'GEOGRAPHY',
  'mixed Case "quoted"': 'VARCHAR(10)',
}

const ROW = `12345678901234567890123456789012345678::DECIMAL(38, 0), 1.5, 0.1, 'naïve 😀 \\ ''', true, DATE '2026-03-01',
  TIME '12:34:56.789', 'ab'::BLOB, TIMESTAMP '2026-03-01 12:00:00.123456', TIMESTAMPTZ '2026-03-01 12:00:00+02',
  TIMESTAMPTZ '2026-03-01 12:00:00-05', '{"a": [1, 2.50]}', '{"b":null}', '[1,"x"]', '{"type":"Point","coordinates":[1,2]}', 'q'`

let server: SnowflakeServer
beforeAll(async () => {
  server = await startAccount(TYPES, `SELECT ${ROW} UNION ALL SELECT 1${', NULL'.repeat(15)}`)
})
afterAll(() => server.stop())

describe('values', () => {
  it('of every type, and their NULLs, are delivered as Snowflake has them', async () => {
    const source = sourceOn(server)
    const request = await stageRequest(source, 't', { start: '0', end: '9'.repeat(38), stagingId: 'values' })
    const lines = await readStagedLines(source, await source.stage(request, undefined, async () => {}, never()))
    expect(lines.toSorted()).toEqual([
      `{"id":1,"price":null,"ratio":null,"text":null,"is_it":null,"day":null,"time":null,"bytes":null,"wall":null,"local":null,"zoned":null,"any":null,"object":null,"list":null,"place":null,"mixed Case \\"quoted\\"":null}`,
      `{"id":12345678901234567890123456789012345678,"price":1.500000,"ratio":0.1,"text":"naïve 😀 \\\\ '","is_it":true,"day":"2026-03-01","time":"12:34:56.789","bytes":"YWI=","wall":"2026-03-01T12:00:00.123456Z","local":"2026-03-01T10:00:00Z","zoned":"2026-03-01T17:00:00Z","any":"{\\"a\\":[1,2.5]}","object":"{\\"b\\":null}","list":"[1,\\"x\\"]","place":"{\\"type\\":\\"Point\\",\\"coordinates\\":[1,2]}","mixed Case \\"quoted\\"":"q"}`,
    ])
  })

  it('are named as they are stored if that is asked for', async () => {
    const source = sourceOn(server, {
      columnNames: 'stored',
      tables: { t: { relation: '"BASE".assets."T"', partitionKeys: ['ID'] } },
    })
    const { columns } = await source.describe('t', never())
    expect(columns.map(({ name }) => name)).toEqual(Object.keys(TYPES))
    expect(columns[0]).toEqual({
      name: 'ID',
      type: { kind: 'integer', bits: 128, signed: true },
      native: 'NUMBER(38,0)',
      nullable: false,
    })
  })

  it.each<[string, readonly string[], number]>([
    ['id', ['12345678901234567890123456789012345678', '5'], 1],
    ['price', ['1.500000'], 1],
    ['ratio', ['0.1'], 1],
    ['text', ["naïve 😀 \\ '", "'); DROP TABLE t; --"], 1],
    ['is_it', ['true'], 1],
    ['day', ['2026-03-01'], 1],
    ['bytes', ['YWI='], 1],
    ['wall', ['2026-03-01T12:00:00.123456Z'], 1],
    ['local', ['2026-03-01T10:00:00Z'], 1],
    ['zoned', ['2026-03-01T17:00:00Z', '2026-03-01T12:00:00Z'], 1],
    ['mixed Case "quoted"', ['q'], 1],
    ['id', ['99999999999999999999999999999999999999999'], 0],
  ])('of column %s can be filtered on: %j', async (column, values, rows) => {
    const source = sourceOn(server)
    for (const copies of [1, 1_001]) {
      const many = Array.from({ length: copies }, () => values).flat()
      const choice = { start: '0', end: '9'.repeat(38), filter: { column, values: many } }
      const { files } = await source.stage(await stageRequest(source, 't', choice), undefined, async () => {}, never())
      expect(files.reduce((sum, file) => sum + file.rows!, 0)).toBe(rows)
    }
  })

  it.each([
    ['wall', '0001-01-01T00:00:00Z', '+010000-01-01T00:00:00Z', 1],
    ['wall', '+010000-01-01T00:00:00Z', '+020000-01-01T00:00:00Z', 0],
    ['wall', '-000001-01-01T00:00:00Z', '2026-03-01T12:00:00.123456Z', 0],
    ['zoned', '2026-03-01T17:00:00Z', '2026-03-01T17:00:00.000001Z', 1],
    ['day', '2026-03-01', '+099999-01-01', 1],
    ['id', '-1', `1${'0'.repeat(60)}`, 2],
  ])('of %s can be cut by windows up to any bound: %s to %s', async (key, start, end, rows) => {
    const source = sourceOn(server, { tables: { t: { relation: 'base.assets.t', partitionKeys: [key] } } })
    const request = await stageRequest(source, 't', { start, end })
    const { files } = await source.stage(request, undefined, async () => {}, never())
    expect(files.reduce((sum, file) => sum + file.rows!, 0)).toBe(rows)
  })
})
