import { expect, test } from 'vitest'
import type { ColumnType, TableSchema } from '../../src/columnar/column-type.ts'
import { type RowOptions, rowOptionProblems, rowProblems, shapeOf } from '../../src/core/row-options.ts'

const TYPES: Readonly<Record<string, ColumnType>> = {
  id: { kind: 'integer', bits: 64, signed: true },
  small: { kind: 'integer', bits: 16, signed: true },
  amount: { kind: 'decimal', precision: 38, scale: 6 },
  name: { kind: 'string' },
  ratio: { kind: 'float', bits: 64 },
  at: { kind: 'timestamp', unit: 'us', zone: false },
}
const TABLE: TableSchema = {
  table: 'base.things',
  columns: Object.entries(TYPES).map(([name, type]) => ({ name, type, native: type.kind, nullable: true })),
  partitionKeys: ['at'],
}
const IDS = { job: 'job' }
const plain = (column: string, name = column) => ({ column, name, quoted: false })

test('rows that are as the table has them need no shape', () => {
  const options: RowOptions[] = [
    {},
    { nulls: 'keep', integers: 'number', decimals: 'number' },
    { cloudEvents: { mode: 'binary', type: 't', source: 's' } },
  ]
  for (const each of options) expect(shapeOf(each, TABLE, IDS)).toBeUndefined()
})

test('columns keep the order and get the names that are asked for', () => {
  const shape = shapeOf({ columns: ['name', { column: 'id', as: 'ID' }], nulls: 'omit' }, TABLE, IDS)
  expect(shape).toEqual({ columns: [plain('name'), plain('id', 'ID')], omitNulls: true })
})

test.each<[RowOptions, readonly string[]]>([
  [{ integers: 'string' }, ['id', 'small']],
  [{ decimals: 'string' }, ['amount']],
  [{ integers: 'string', decimals: 'string' }, ['id', 'small', 'amount']],
])('numbers are strings where that is asked for: %j', (options, quoted) => {
  const { columns } = shapeOf(options, TABLE, IDS)!
  expect(columns.map(({ column }) => column)).toEqual(Object.keys(TYPES))
  expect(columns.filter(each => each.quoted).map(({ column }) => column)).toEqual(quoted)
})

test('a transform is given what no digit is lost of', () => {
  const transform = { module: '/rows.js', export: 'change' }
  const shape = shapeOf({ transform, columns: [{ column: 'id', as: 'ID' }, 'small', 'amount'] }, TABLE, IDS)!
  expect(shape.transform).toEqual({ ...transform, bigints: ['ID'] })
  expect(shape.columns.map(({ quoted }) => quoted)).toEqual([true, false, true])
  const asked = shapeOf({ transform, integers: 'string', decimals: 'number' }, TABLE, IDS)!
  expect(asked.transform!.bigints).toEqual([])
  expect(asked.columns.filter(({ quoted }) => quoted).map(({ column }) => column)).toEqual(['id', 'small'])
})

test('structured events carry their attributes, and the names of rows', () => {
  const cloudEvents = { type: 'com.example.thing', source: '/things', subject: 'id', time: 'at' }
  expect(shapeOf({ cloudEvents, columns: ['name'] }, TABLE, IDS)).toEqual({
    columns: [plain('name')],
    omitNulls: false,
    event: {
      attributes: {
        specversion: '1.0',
        type: 'com.example.thing',
        source: '/things',
        datacontenttype: 'application/json',
      },
      columns: [{ column: 'id', name: 'subject', quoted: true }, plain('at', 'time')],
      ids: IDS,
    },
  })
})

test.each<[unknown, readonly { path: string; message: unknown }[]]>([
  [{ columns: [] }, [{ path: 'rows.columns', message: 'must name at least one' }]],
  [{ columns: ['a', { column: 'b', as: 'a' }] }, [{ path: 'rows.columns.1', message: '"a" is there twice' }]],
  [{ columns: [1] }, [{ path: 'rows.columns.0', message: 'must be a name or { column, as }' }]],
  [{ nulls: 'drop' }, [{ path: 'rows.nulls', message: expect.stringContaining('"omit"') }]],
  [{ integer: 'string' }, [{ path: 'rows', message: expect.stringContaining('integer') }]],
  [
    { transform: { module: './rows.js', export: 'change' } },
    [{ path: 'rows.transform.module', message: expect.stringContaining('must be a file: URL') }],
  ],
  [{ transform: { module: '/rows.js' } }, [{ path: 'rows.transform.export', message: expect.any(String) }]],
  [
    { cloudEvents: { mode: 'binary', type: 't', source: 's', time: 'at' } },
    [{ path: 'rows.cloudEvents', message: 'subject and time are for the structured mode' }],
  ],
  [{ cloudEvents: { type: 't' } }, [{ path: 'rows.cloudEvents.source', message: expect.any(String) }]],
])('options that are wrong are told with their place: %j', (options, problems) => {
  expect(rowOptionProblems(options, 'rows')).toEqual(problems)
})

test.each<[RowOptions, readonly string[]]>([
  [{ columns: ['nam'] }, ['names the column "nam", which the table does not have']],
  [
    { cloudEvents: { type: 't', source: 's', subject: 'who', time: 'when' } },
    ['names the column "who", which the table does not have', 'names the column "when", which the table does not have'],
  ],
  [
    { cloudEvents: { type: 't', source: 's', subject: 'ratio', time: 'id' } },
    [
      'takes the subject of events from "ratio", which is neither text nor a whole number',
      'takes the time of events from "id", which has no timestamps',
    ],
  ],
  [{ columns: ['id', { column: 'at', as: 'when' }] }, []],
])('options have to fit the table: %j', (options, problems) => {
  expect(rowProblems(options, TABLE)).toEqual(problems)
})
