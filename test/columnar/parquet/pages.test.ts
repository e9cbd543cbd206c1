/** Column chunks made by hand: what writers at hand do not write, and what no writer writes. */
import { crc32 } from 'node:zlib'
import { expect, test } from 'vitest'
import { flatColumns } from '../../../src/columnar/parquet/flat-columns.ts'
import { decodeRowGroup } from '../../../src/columnar/parquet/row-group.ts'
import type { ParquetFooter, SchemaElement } from '../../../src/columnar/parquet-footer.ts'
import { renderRows } from '../../../src/columnar/render.ts'
import { kernel } from './decoders.ts'

const PLAIN = 0
const RLE = 3
const DATA_PAGE = 0
const DICTIONARY_PAGE = 2
const DATA_PAGE_V2 = 3

/** A struct in Thrift's compact protocol, of numbers (i32), booleans and structs, by field id. */
type Fields = Readonly<Record<number, number | boolean | object>>

function thrift(fields: Fields): number[] {
  const bytes: number[] = []
  for (const [id, value] of Object.entries(fields)) {
    const type = typeof value === 'number' ? 5 : typeof value === 'boolean' ? (value ? 1 : 2) : 12
    bytes.push(type, ...varint(Number(id) * 2))
    if (typeof value === 'number') bytes.push(...varint(value < 0 ? -value * 2 - 1 : value * 2))
    else if (typeof value === 'object') bytes.push(...thrift(value as Fields))
  }
  return [...bytes, 0]
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))]
}

function page(
  type: number,
  header: Fields,
  body: readonly number[],
  sizes: { bytes?: number; crc?: number } = {},
): number[] {
  const { bytes = body.length, crc } = sizes
  return [...thrift({ 1: type, 2: bytes, 3: body.length, ...(crc !== undefined && { 4: crc }), ...header }), ...body]
}

function dataPage(values: number, body: readonly number[], encoding = PLAIN, sizes: { crc?: number } = {}): number[] {
  return page(DATA_PAGE, { 5: { 1: values, 2: encoding, 3: RLE, 4: RLE } }, body, sizes)
}

function integers(...values: number[]): number[] {
  return [...Buffer.from(Int32Array.from(values).buffer)]
}

const REQUIRED = { name: 'c', type: 'INT32', repetition_type: 'REQUIRED' } as const
const OPTIONAL = { ...REQUIRED, repetition_type: 'OPTIONAL' } as const

/** JSON of the rows of one column, which is all of a row group. */
async function read(
  chunk: readonly number[],
  rows: number,
  column: Partial<SchemaElement> = REQUIRED,
): Promise<string[] | undefined> {
  const bytes = Uint8Array.from(chunk)
  const element = { num_children: 0, ...column }
  const footer = { schema: [{ num_children: 1 }, element], row_groups: [] } as unknown as ParquetFooter
  const sizes = { total_compressed_size: bytes.length, data_page_offset: 0, codec: 0, type: element.type }
  const group = { num_rows: rows, columns: [sizes] } as unknown as ParquetFooter['row_groups'][0]
  const file = {
    size: bytes.length,
    read: async (start: number, end: number) => bytes.slice(start, end),
    async close() {},
  }
  const flat = { name: 'file', title: 'row group 0', group, columns: flatColumns(footer)! }
  const decoded = await decodeRowGroup(kernel, file, flat, 1 << 20)
  if (!decoded) return undefined
  try {
    return [...decoded.slices(0, 1000)].flatMap(({ rows, use }) =>
      use(batch => Array.from({ length: rows }, (_, row) => row).map(renderRows(batch))),
    )
  } finally {
    decoded.free()
  }
}

const corrupt = (problem: string) => ({
  code: 'file_corrupt',
  message: `the staged file "file" ${problem}: stage it again`,
})

test('pages one after the other are one column', async () => {
  const found = await read([...dataPage(2, integers(1, -2)), ...dataPage(0, []), ...dataPage(1, integers(3))], 3)
  expect(found).toEqual(['{"c":1}', '{"c":-2}', '{"c":3}'])
})

test('what lies behind the rows is not looked at', async () => {
  expect(await read([...dataPage(1, integers(7)), 255, 255], 1)).toEqual(['{"c":7}'])
})

test('an index page is passed over', async () => {
  expect(await read([...page(1, { 6: {} }, [1, 2, 3]), ...dataPage(1, integers(7))], 1)).toEqual(['{"c":7}'])
})

test.each([0, 1])('a page that has a checksum is held to it: %i bits wrong', async wrong => {
  const body = integers(5, 6)
  const crc = (crc32(Buffer.from(body)) | 0) ^ wrong
  const found = read(dataPage(2, body, PLAIN, { crc }), 2)
  if (wrong) await expect(found).rejects.toMatchObject(corrupt('has a page with a wrong checksum'))
  else expect(await found).toEqual(['{"c":5}', '{"c":6}'])
})

test.each<[string, readonly number[], number, Partial<SchemaElement>?]>([
  ['has a page whose values cannot be decoded', dataPage(2, integers(1)), 2],
  ['has a column with more values than rows', dataPage(2, integers(1, 2)), 1],
  ['has a page header that ends too early', dataPage(1, integers(1)), 2],
  ['has a page that goes on behind its column', dataPage(1, integers(1)).slice(0, -1), 1],
  [
    'has a page that cannot be decompressed',
    page(DATA_PAGE, { 5: { 1: 1, 2: PLAIN, 3: RLE } }, integers(1), { bytes: 5 }),
    1,
  ],
  ['has a page header that lacks a number', page(DATA_PAGE, {}, integers(1)), 1],
  ['has a page that is shorter than its levels', dataPage(1, [4, 0, 0, 0, 2, 1]), 1, OPTIONAL],
  ['has a page that is shorter than its levels', dataPage(1, [4, 0]), 1, OPTIONAL],
  ['has definition levels that cannot be decoded', dataPage(1, [2, 0, 0, 0, 2, 2, ...integers(1)]), 1, OPTIONAL],
  ['has a column that lacks its dictionary', dataPage(1, [1, 2, 0], 8), 1],
  [
    'has a dictionary that is shorter than it says',
    [...page(DICTIONARY_PAGE, { 7: { 1: 3, 2: PLAIN } }, integers(1)), ...dataPage(1, [1, 2, 0], 8)],
    1,
  ],
  [
    'has a dictionary that is not at the beginning of its column',
    [
      ...dataPage(1, integers(1)),
      ...page(DICTIONARY_PAGE, { 7: { 1: 1, 2: PLAIN } }, integers(1)),
      ...dataPage(1, [1, 2, 0], 8),
    ],
    2,
  ],
  [
    'has a page whose values cannot be decoded',
    [...page(DICTIONARY_PAGE, { 7: { 1: 1, 2: PLAIN } }, integers(1)), ...dataPage(1, [1, 2, 1], 8)],
    1,
  ],
  [
    'has a page whose values cannot be decoded',
    [...page(DICTIONARY_PAGE, { 7: { 1: 1, 2: PLAIN } }, integers(1)), ...dataPage(1, [1, 3, 1], 8)],
    1,
  ],
  [
    'has a flat column with repeated values',
    page(DATA_PAGE_V2, { 8: { 1: 2, 2: 0, 3: 1, 4: PLAIN, 5: 0, 6: 0 } }, integers(1, 2)),
    2,
  ],
  [
    'has a page with another number of NULLs than it says',
    page(DATA_PAGE_V2, { 8: { 1: 1, 2: 1, 3: 1, 4: PLAIN, 5: 2, 6: 0 } }, [2, 1, ...integers(1)]),
    1,
    OPTIONAL,
  ],
  [
    'has NULLs where there can be none',
    page(DATA_PAGE_V2, { 8: { 1: 1, 2: 1, 3: 1, 4: PLAIN, 5: 0, 6: 0 } }, integers(1)),
    1,
  ],
])('a file that %s is corrupt', async (problem, chunk, rows, column) => {
  await expect(read(chunk, rows, column)).rejects.toMatchObject(corrupt(problem))
})

test.each([
  ['levels that are not runs', page(DATA_PAGE, { 5: { 1: 1, 2: PLAIN, 3: 4 } }, integers(1)), OPTIONAL],
  ['an encoding that is not known', dataPage(1, integers(1), 99), REQUIRED],
  ['a page of a type that is not known', page(9, {}, integers(1)), REQUIRED],
] as const)('%s are left to parquet-wasm', async (_, chunk, column) => {
  expect(await read(chunk, 1, column)).toBeUndefined()
})

test('a row group that claims more rows than fit is refused before memory is taken', async () => {
  const levels = [5, 0, 0, 0, 254, 255, 255, 255, 15]
  const before = kernel.memory.buffer.byteLength
  await expect(read(dataPage(2 ** 31 - 1, levels), 2 ** 31 - 1, OPTIONAL)).rejects.toMatchObject({
    code: 'over_budget',
  })
  expect(kernel.memory.buffer.byteLength).toBe(before)
})

test('decimals of any length become numbers', async () => {
  const column = { ...REQUIRED, type: 'BYTE_ARRAY', converted_type: 5, precision: 38, scale: 1 } as const
  const values = [[0xff], [0x00, 0x80], [0x80, ...new Array(15).fill(0)]]
  const body = values.flatMap(value => [...integers(value.length), ...value])
  expect(await read(dataPage(3, body), 3, column)).toEqual([
    '{"c":-0.1}',
    '{"c":12.8}',
    '{"c":-17014118346046923173168730371588410572.8}',
  ])
  const tooLong = [...integers(17), ...new Array(17).fill(0)]
  await expect(read(dataPage(1, tooLong), 1, column)).rejects.toMatchObject({ code: 'file_corrupt' })
})

test.each([
  [4, 'ENUM', '{"c":"YWI="}'],
  [0, 'STRING', '{"c":"ab"}'],
  [19, 'JSON', '{"c":"ab"}'],
  [20, 'BSON', '{"c":"YWI="}'],
])('bytes whose converted type is %i are %s, as for parquet-wasm', async (converted_type, _, row) => {
  const column = { ...REQUIRED, type: 'BYTE_ARRAY', converted_type } as const
  expect(await read(dataPage(1, [...integers(2), 97, 98]), 1, column)).toEqual([row])
})
