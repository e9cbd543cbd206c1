import { type FileMetaData, parquetMetadata } from 'hyparquet'
import { describe, expect, test } from 'vitest'
import { openFileBytes } from '../../src/columnar/file-bytes.ts'
import { type ParquetFooter, readFooter } from '../../src/columnar/parquet-footer.ts'
import { flipBits, randomNumbers } from './damaged-files.ts'
import { chunkOf, countingAccess } from './read-units.ts'
import { parquetFile } from './staged-files.ts'

async function footerOf(bytes: Uint8Array): Promise<{ footer: ParquetFooter; reads: [number, number][] }> {
  const access = countingAccess(bytes)
  const chunk = chunkOf(bytes)
  const file = await openFileBytes(chunk, async () => access, new AbortController().signal)
  return { footer: await readFooter(chunk, file), reads: access.reads }
}

/** A file that is nothing but a footer. */
function framed(thrift: Uint8Array, claimed = thrift.length): Uint8Array {
  const frame = Buffer.alloc(8)
  frame.writeUInt32LE(claimed)
  frame.write('PAR1', 4)
  return new Uint8Array(Buffer.concat([thrift, frame]))
}

/** What both readers say, in one form. The other one has no order of the bounds, and makes lossy values of them. */
function outline(footer: ParquetFooter): unknown {
  return {
    schema: footer.schema.map(({ name, type, num_children, converted_type, scale, precision, logical_type }) => ({
      ...{ name, type, num_children, scale, precision, converted: converted_type !== undefined },
      logical: logical_type?.kind,
    })),
    created_by: footer.created_by,
    rows: footer.num_rows,
    groups: footer.row_groups.map(({ columns, num_rows, total_byte_size }) => ({
      ...{ num_rows, total_byte_size },
      columns: columns.map(column => ({
        type: column.type,
        path: column.path_in_schema,
        sizes: [column.num_values, column.total_uncompressed_size, column.total_compressed_size],
        offsets: [column.data_page_offset, column.dictionary_page_offset],
        nulls: column.statistics?.null_count,
        has: Object.values(column.statistics ?? {}).map(value => value !== undefined),
      })),
    })),
  }
}

function otherOutline(metadata: FileMetaData): unknown {
  const number = (value: bigint | undefined): number | undefined => (value === undefined ? undefined : Number(value))
  return {
    schema: metadata.schema.map(({ name, type, num_children = 0, converted_type, scale, precision, logical_type }) => ({
      ...{ name, type, num_children, scale, precision, converted: converted_type !== undefined },
      logical: logical_type?.type,
    })),
    created_by: metadata.created_by,
    rows: Number(metadata.num_rows),
    groups: metadata.row_groups.map(({ columns, num_rows, total_byte_size }) => ({
      num_rows: Number(num_rows),
      total_byte_size: Number(total_byte_size),
      columns: columns.map(({ meta_data: column }) => ({
        type: column!.type,
        path: column!.path_in_schema,
        sizes: [column!.num_values, column!.total_uncompressed_size, column!.total_compressed_size].map(Number),
        offsets: [number(column!.data_page_offset), number(column!.dictionary_page_offset)],
        nulls: number(column!.statistics?.null_count as bigint | undefined),
        has: (['null_count', 'min_value', 'max_value', 'min', 'max'] as const)
          .filter(() => column!.statistics !== undefined)
          .map(key => column!.statistics![key] !== undefined),
      })),
    })),
  }
}

const WIDE = `SELECT i, i::INT i32, i::UTINYINT u8, i::UBIGINT u64, 'row ' || i AS s, i::DECIMAL(38,0) d38, i::DECIMAL(9,2) d9,
  [i] AS list, {a: i, b: [1, 2]} AS struct, MAP {'k': i} AS map, i::FLOAT f, i / 3 AS double, DATE '2026-03-01' + i::INT AS day,
  TIME '10:00:00' AS tm, make_timestamp(i) AS us, make_timestamp_ms(i) AS ms, make_timestamp_ns(i) AS ns,
  TIMESTAMPTZ '2026-03-01' AS tz, encode('x') AS b, uuid() AS id, i % 2 = 0 AS even, NULL::INT AS nothing, INTERVAL 1 DAY AS iv`

describe('a footer', () => {
  test('is read as another reader reads it', async () => {
    const bytes = await parquetFile(`${WIDE} FROM range(200) r(i)`)
    const { footer } = await footerOf(bytes)
    expect(outline(footer)).toEqual(otherOutline(parquetMetadata(bytes, { geoparquet: false })))
    expect(footer.ordered.length).toBe(footer.row_groups[0]!.columns.length)
    expect(footer.ordered.every(ordered => ordered)).toBe(true)
    expect(footer.schema.find(({ name }) => name === 'tz')?.logical_type).toEqual({
      ...{ kind: 'TIMESTAMP', unit: 'us', utc: true },
    })
  })

  test('keeps its bounds as they are stored', async () => {
    const { footer } = await footerOf(await parquetFile('SELECT i - 5 AS i FROM range(8) r(i)'))
    const { min_value, max_value, null_count } = footer.row_groups[0]!.columns[0]!.statistics!
    expect([min_value, max_value, null_count]).toEqual([
      new Uint8Array(BigInt64Array.of(-5n).buffer),
      new Uint8Array(BigInt64Array.of(2n).buffer),
      0,
    ])
  })

  test('is read in one piece with the end of the file, and a long one in two', async () => {
    const short = await parquetFile('SELECT i FROM range(100000) r(i)')
    expect((await footerOf(short)).reads).toEqual([[short.length - 65_536, short.length]])
    const columns = Array.from({ length: 800 }, (_, i) => `i + ${i} AS column_${i}`)
    const long = await parquetFile(`SELECT ${columns} FROM range(3) r(i)`)
    const length = new DataView(long.buffer, long.byteOffset).getUint32(long.length - 8, true)
    const { footer, reads } = await footerOf(long)
    expect(reads).toEqual([
      [long.length - 65_536, long.length],
      [long.length - 8 - length, long.length - 65_536],
    ])
    expect(footer.schema.length).toBe(801)
  })
})

describe('a damaged footer', () => {
  test('is an error with the name of the file, or says what it says: never a hang, and no other error', async () => {
    const bytes = await parquetFile(`${WIDE} FROM range(200) r(i)`)
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 8, true)
    const random = randomNumbers(1)
    let failures = 0
    for (let round = 0; round < 1_500; round++) {
      const end = bytes.length - 8
      const damaged = flipBits(new Uint8Array(bytes), random, end - length, end, 1 + (round % 4))
      const error = await footerOf(damaged).then(
        () => undefined,
        (error: unknown) => error,
      )
      if (!error) continue
      failures++
      expect(error).toMatchObject({ code: 'file_corrupt', message: expect.stringContaining('"file-0"') })
    }
    expect(failures).toBeGreaterThan(200)
  })

  const list = (type: number, count: number): number[] => [0xf0 | type, ...varint(count)]
  test.each<[string, Uint8Array, RegExp]>([
    ['an endless number', new Uint8Array(1 << 20).fill(0xff).fill(0x16, 0, 1), /a number that is too long/],
    [
      'lists of huge lists',
      Uint8Array.of(
        ...Array(60)
          .fill([0x19, ...list(9, 3e7)])
          .flat(),
      ),
      /behind its end/,
    ],
    ['deeply nested lists', new Uint8Array(1 << 20).fill(0x19).fill(0x99, 1), /nested too deeply/],
    ['deeply nested structures', new Uint8Array(1 << 20).fill(0x1c), /nested too deeply/],
    ['empty row groups', Uint8Array.of(0x49, ...list(12, 1000), ...new Uint8Array(1000)), /has no columns/],
    ['a type that there is not', Uint8Array.of(0x1f), /a field of type 15/],
    ['text where a number should be', Uint8Array.of(0x38, 0), /something else where a number should be/],
    ['nothing', new Uint8Array(0), /ends too early/],
    ['no schema', Uint8Array.of(0), /no schema/],
  ])('with %s ends at once', async (_, thrift, problem) => {
    const started = performance.now()
    await expect(footerOf(framed(thrift))).rejects.toMatchObject({
      code: 'file_corrupt',
      message: expect.stringMatching(problem),
    })
    expect(performance.now() - started).toBeLessThan(1_000)
  })

  test.each<[string, Uint8Array, string]>([
    ['no file of Parquet', Buffer.from('hello, world'), 'does not end as a Parquet file does'],
    ['too few bytes', Buffer.from('PAR1'), 'does not end as a Parquet file does'],
    ['a length beyond the file', framed(new Uint8Array(10), 11), 'is shorter than its footer of 11 bytes'],
  ])('of %s is an error', async (_, bytes, problem) => {
    await expect(footerOf(bytes)).rejects.toMatchObject({
      code: 'file_corrupt',
      message: `the staged file "file-0" ${problem}: stage it again`,
    })
  })

  test('that is too long to be read is told with its length', async () => {
    await expect(footerOf(framed(new Uint8Array(10), 2 ** 31))).rejects.toMatchObject({
      code: 'over_budget',
      message: expect.stringContaining('a footer of 2147483648 bytes'),
    })
  })
})

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))]
}
