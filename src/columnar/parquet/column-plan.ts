/**
 * Where in the kernel's memory the parts of a row group's columns go: planned from the page headers before anything is
 * allocated, so that what decoding will take is known exactly, and is allocated and freed as one piece.
 */
import { type Codec, codecOf } from './codecs.ts'
import type { FlatColumn } from './flat-columns.ts'
import { SLACK_BYTES } from './kernel-exports.ts'
import {
  BYTE_STREAM_SPLIT,
  Damaged,
  DELTA_BINARY_PACKED,
  DELTA_LENGTH_BYTE_ARRAY,
  type Page,
  PLAIN,
  PLAIN_DICTIONARY,
  RLE,
  RLE_DICTIONARY,
  readPages,
  Unsupported,
} from './pages.ts'

/** Memory that is yet to be allocated, as offsets from its beginning. */
class Layout {
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  /** The offset of `bytes` bytes, at a multiple of 16 and with slack behind them. */
  reserve(bytes: number): number {
    const offset = this.#bytes
    this.#bytes += Math.ceil((bytes + SLACK_BYTES) / 16) * 16
    return offset
  }
}

export interface ColumnPlan {
  readonly column: FlatColumn
  readonly codec: Codec
  readonly dictionary: DictionaryPlan | undefined
  readonly pages: readonly PagePlan[]
  /** The elements of all rows. */
  readonly elements: number
  /** Which rows are not NULL. */
  readonly bitmap: number | undefined
  /** Elements of booleans, once they are bits. */
  readonly bits: number | undefined
}

export interface DictionaryPlan extends PagePlan {
  readonly elements: number
}

export interface PagePlan {
  readonly page: Page
  /** Where its body is decompressed to and stays, because views point into it; undefined: its bytes are not needed for long. */
  readonly kept: number | undefined
}

export interface RowGroupPlan {
  readonly rows: number
  readonly columns: readonly ColumnPlan[]
  /** What all of it takes. */
  readonly bytes: number
  /** For compressed bytes. */
  readonly input: number
  /** For the bodies of pages that are not kept. */
  readonly body: number
  /** For values that an encoding has to be taken off before they are PLAIN. */
  readonly plain: number
}

/** One column of a row group as it lies in the file. */
export interface StoredColumn {
  readonly column: FlatColumn
  readonly codec: number
  readonly bytes: Uint8Array
}

/** Throws `Damaged` and `Unsupported`. */
export function planRowGroup(rows: number, stored: readonly StoredColumn[]): RowGroupPlan {
  const layout = new Layout()
  const most = { input: 0, body: 0, plain: 0 }
  const columns = stored.map(({ column, codec, bytes }) => {
    const pages = readPages(bytes, rows, column.optional)
    for (const page of pages) {
      most.input = Math.max(most.input, page.body.length)
      if (!isKept(column, page)) most.body = Math.max(most.body, page.bytes)
      if (isUnpacked(page.encoding)) most.plain = Math.max(most.plain, page.values * (column.plainBytes || 1))
    }
    return planColumn(layout, rows, column, codec, pages)
  })
  return {
    rows,
    columns,
    input: layout.reserve(most.input),
    body: layout.reserve(most.body),
    plain: layout.reserve(most.plain),
    bytes: layout.bytes,
  }
}

function planColumn(
  layout: Layout,
  rows: number,
  column: FlatColumn,
  codec: number,
  pages: readonly Page[],
): ColumnPlan {
  const known = codecOf(codec)
  if (!known) throw new Unsupported('a compression')
  const place = (page: Page): PagePlan => ({
    page,
    kept: isKept(column, page) ? layout.reserve(page.bytes) : undefined,
  })
  const dictionary = pages.find(({ kind }) => kind === 'dictionary')
  for (const page of pages) checkPage(column, page, dictionary)
  return {
    column,
    codec: known,
    dictionary: dictionary && {
      ...place(dictionary),
      elements: layout.reserve(dictionary.values * column.elementBytes),
    },
    pages: pages.filter(page => page !== dictionary).map(place),
    elements: layout.reserve(rows * column.elementBytes),
    bitmap: column.optional ? layout.reserve(Math.ceil(rows / 8)) : undefined,
    bits: column.form === 'bits' ? layout.reserve(Math.ceil(rows / 8)) : undefined,
  }
}

/** Whether the column's views point into the page. */
function isKept({ form }: FlatColumn, { encoding }: Page): boolean {
  return form === 'view' && (encoding === PLAIN || encoding === DELTA_LENGTH_BYTE_ARRAY)
}

/** Whether the encoding is taken off before the values are PLAIN. */
function isUnpacked(encoding: number): boolean {
  return encoding === DELTA_BINARY_PACKED || encoding === BYTE_STREAM_SPLIT || encoding === RLE
}

function checkPage(column: FlatColumn, page: Page, dictionary: Page | undefined): void {
  if (!canDecode(column, page.encoding)) throw new Unsupported(`the encoding ${page.encoding}`)
  if (isIndexed(page) && !dictionary) throw new Damaged('has a column that lacks its dictionary')
  // before memory is reserved for so many: a value of variable length has its length before it
  const leastBits = column.form === 'bits' ? 1 : 8 * (column.plainBytes || 4)
  if (page.kind === 'dictionary' && page.values * leastBits > page.bytes * 8)
    throw new Damaged('has a dictionary that is shorter than it says')
}

function isIndexed({ encoding }: Page): boolean {
  return encoding === PLAIN_DICTIONARY || encoding === RLE_DICTIONARY
}

function canDecode({ form, plainBytes, physical }: FlatColumn, encoding: number): boolean {
  switch (encoding) {
    case PLAIN:
    case PLAIN_DICTIONARY:
    case RLE_DICTIONARY:
      return true
    case RLE:
      return form === 'bits'
    case DELTA_BINARY_PACKED:
      return physical === 'INT32' || physical === 'INT64'
    case DELTA_LENGTH_BYTE_ARRAY:
      return form === 'view'
    case BYTE_STREAM_SPLIT:
      return plainBytes > 0
    default:
      return false
  }
}
