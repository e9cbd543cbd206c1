/** Decodes a column of a row group, page by page, to an Arrow array in the kernel's memory. */
import type { ColumnPlan } from './column-plan.ts'
import type { FlatColumn } from './flat-columns.ts'
import type { PageMemory, Region } from './page-memory.ts'
import { Damaged, type Page } from './pages.ts'
import { decodePlain, decodeValues } from './values.ts'

/** Addresses in the kernel's memory. */
export interface DecodedColumn {
  readonly column: FlatColumn
  /** An element a row; of booleans, a bit. */
  readonly elements: number
  /** Undefined where no row is NULL. */
  readonly bitmap: number | undefined
}

/** Throws `Damaged`. */
export function decodeColumn(memory: PageMemory, plan: ColumnPlan): DecodedColumn {
  const { base, kernel } = memory
  const { column, dictionary } = plan
  const elements = base + plan.elements
  const bitmap = plan.bitmap === undefined ? undefined : base + plan.bitmap
  if (dictionary) {
    const entries = memory.load(plan.codec, dictionary)
    decodePlain(memory, column, entries, dictionary.page.values, base + dictionary.elements)
  }
  const hasNulls = decodePages(memory, plan, elements, bitmap)
  if (plan.bits !== undefined) kernel.exports.parquetPackBits(elements, memory.plan.rows, base + plan.bits)
  return {
    column,
    elements: plan.bits === undefined ? elements : base + plan.bits,
    bitmap: hasNulls ? bitmap : undefined,
  }
}

/** Whether any row is NULL. */
function decodePages(memory: PageMemory, plan: ColumnPlan, elements: number, bitmap: number | undefined): boolean {
  const { elementBytes } = plan.column
  let row = 0
  let hasNulls = false
  if (bitmap !== undefined) memory.bytes.fill(0, bitmap, bitmap + Math.ceil(memory.plan.rows / 8))
  for (const placed of plan.pages) {
    const { page } = placed
    const body = memory.load(plan.codec, placed)
    const to = elements + row * elementBytes
    if (bitmap === undefined) decodeValues(memory, plan, page.encoding, body, page.values, to)
    else {
      const levels = levelsOf(memory, page, body)
      const values = decodeLevels(memory, page, levels, bitmap, row)
      decodeValues(memory, plan, page.encoding, { start: levels.end, end: body.end }, values, to)
      if (values < page.values) {
        memory.kernel.exports.parquetSpread(to, elementBytes, values, page.values, bitmap, row)
        hasNulls = true
      }
    }
    row += page.values
  }
  return hasNulls
}

function levelsOf({ view }: PageMemory, { levelBytes }: Page, { start, end }: Region): Region {
  // version 1 has their length in front
  const from = levelBytes === undefined ? start + 4 : start
  const to = from > end ? from : from + (levelBytes ?? view.getUint32(start, true))
  if (to > end) throw new Damaged('has a page that is shorter than its levels')
  return { start: from, end: to }
}

/** The number of rows of the page that are not NULL. */
function decodeLevels({ kernel }: PageMemory, page: Page, levels: Region, bitmap: number, row: number): number {
  const values = kernel.exports.parquetLevels(levels.start, levels.end, page.values, bitmap, row)
  if (values < 0) throw new Damaged('has definition levels that cannot be decoded')
  if (page.nulls !== undefined && page.nulls !== page.values - values)
    throw new Damaged('has a page with another number of NULLs than it says')
  return values
}
