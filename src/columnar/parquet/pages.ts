/**
 * The pages of a column chunk: a header in Thrift before each, then its body.
 * Source: apache/parquet-format, parquet.thrift (PageHeader) and README.md, "Data Pages".
 *
 * The body of a data page of version 1 is compressed as a whole: definition levels (only where a value may be NULL) with
 * their length in front, then the values. In version 2 the levels stand before what is compressed, and the header has their
 * length. (Repetition levels, which come first in both, are only there in nested columns.)
 */
import { fieldsOf, STRUCT, ThriftError, ThriftReader } from '../thrift.ts'

/** Encodings, by their numbers in `parquet.thrift`. */
export const PLAIN = 0
export const PLAIN_DICTIONARY = 2
export const RLE = 3
export const DELTA_BINARY_PACKED = 5
export const DELTA_LENGTH_BYTE_ARRAY = 6
export const RLE_DICTIONARY = 8
export const BYTE_STREAM_SPLIT = 9

export interface Page {
  readonly kind: 'dictionary' | 'data'
  readonly encoding: number
  /** Rows of a data page, NULLs too; entries of a dictionary. */
  readonly values: number
  /** As it is stored, levels too. */
  readonly body: Uint8Array
  /** Of the body, once it is decompressed. */
  readonly bytes: number
  readonly compressed: boolean
  /** Version 2 only: how many bytes of the body, stored or decompressed, are definition levels. */
  readonly levelBytes: number | undefined
  /** Version 2 only. */
  readonly nulls: number | undefined
  /** CRC-32 of `body`, as a signed number. */
  readonly crc: number | undefined
}

/** What is well-formed but left to parquet-wasm. */
export class Unsupported extends Error {}

/** What no file can have; the message completes "the staged file "x" …". */
export class Damaged extends Error {}

/** The pages that hold the chunk's `rows` rows. `optional`: whether the column has definition levels. */
export function readPages(chunk: Uint8Array, rows: number, optional: boolean): readonly Page[] {
  const pages: Page[] = []
  for (let at = 0, found = 0; found < rows; ) {
    const header = readHeader(chunk.subarray(at))
    at += header.length
    const end = at + count(header.compressedBytes)
    if (end > chunk.length) throw new Damaged('has a page that goes on behind its column')
    const page = pageOf(header, chunk.subarray(at, end), optional)
    at = end
    if (!page) continue
    if (page.kind === 'data') found += page.values
    else if (pages.length > 0) throw new Damaged('has a dictionary that is not at the beginning of its column')
    if (found > rows) throw new Damaged('has a column with more values than rows')
    pages.push(page)
  }
  return pages
}

function readHeader(bytes: Uint8Array) {
  const r = new ThriftReader(bytes)
  const integer = (type: number): number => r.integer(type)
  try {
    const fields = fieldsOf(r, STRUCT, {
      1: integer,
      2: integer,
      3: integer,
      4: integer,
      5: type => fieldsOf(r, type, { 1: integer, 2: integer, 3: integer }),
      7: type => fieldsOf(r, type, { 1: integer, 2: integer }),
      8: type =>
        fieldsOf(r, type, {
          1: integer,
          2: integer,
          3: integer,
          4: integer,
          5: integer,
          6: integer,
          7: type => r.boolean(type),
        }),
    })
    const { 1: type, 2: bytes, 3: compressedBytes, 4: crc, 5: data, 7: dictionary, 8: secondVersion } = fields
    return { type, bytes, compressedBytes, crc, data, dictionary, secondVersion, length: r.position }
  } catch (error) {
    if (!(error instanceof ThriftError)) throw error
    throw new Damaged(`has a page header that ${error.message}`, { cause: error })
  }
}

type Header = ReturnType<typeof readHeader>

function pageOf(header: Header, body: Uint8Array, optional: boolean): Page | undefined {
  const { type, data, dictionary, crc } = header
  const common = { body, bytes: count(header.bytes), crc, compressed: true, levelBytes: undefined, nulls: undefined }
  switch (type) {
    case 0:
      if (optional && data?.[3] !== RLE) throw new Unsupported('definition levels that are not RLE')
      return { ...common, kind: 'data', values: count(data?.[1]), encoding: count(data?.[2]) }
    case 1:
      return undefined
    case 2:
      if (dictionary?.[2] !== PLAIN && dictionary?.[2] !== PLAIN_DICTIONARY)
        throw new Unsupported('a dictionary that is not PLAIN')
      return { ...common, kind: 'dictionary', values: count(dictionary[1]), encoding: PLAIN }
    case 3:
      return { ...common, ...secondVersion(header, Math.min(common.bytes, body.length), optional) }
    default:
      throw new Unsupported(`pages of type ${type}`)
  }
}

/** `bytes`: of the body, stored or decompressed. */
function secondVersion({ secondVersion: data }: Header, bytes: number, optional: boolean) {
  const [values, nulls, levelBytes] = [count(data?.[1]), count(data?.[2]), count(data?.[5])]
  if (data?.[3] !== values || data[6] !== 0) throw new Damaged('has a flat column with repeated values')
  if (levelBytes > bytes) throw new Damaged('has a page that is shorter than its levels')
  if (!optional && (levelBytes > 0 || nulls > 0)) throw new Damaged('has NULLs where there can be none')
  return { kind: 'data', values, nulls, levelBytes, encoding: count(data[4]), compressed: data[7] ?? true } as const
}

/** Of a field that must be there. */
function count(number: number | undefined): number {
  if (number === undefined || number < 0) throw new Damaged('has a page header that lacks a number')
  return number
}
