/** Reads a row group and decodes it in the kernel. */
import type { FileBytes, Range } from '../file-bytes.ts'
import { corrupt, overBudget } from '../file-errors.ts'
import type { Kernel } from '../kernel.ts'
import type { RowGroup } from '../parquet-footer.ts'
import type { Slice } from '../spans.ts'
import { type DecodedColumn, decodeColumn } from './column-decoder.ts'
import { planRowGroup, type RowGroupPlan } from './column-plan.ts'
import type { FlatColumn } from './flat-columns.ts'
import { memoryBatch } from './memory-batches.ts'
import { PageMemory } from './page-memory.ts'
import { Damaged, Unsupported } from './pages.ts'
import { withRanges } from './ranges.ts'

export interface FlatRowGroup {
  /** Of the staged file. */
  readonly name: string
  /** "row group 3", for errors. */
  readonly title: string
  readonly group: RowGroup
  readonly columns: readonly FlatColumn[]
}

/** What the kernel can allocate as one piece: somewhat less than 1 GiB. */
const MOST_BYTES = (1 << 30) - (1 << 16)

/** A row group in the kernel's memory, which has to be freed. */
export interface DecodedRowGroup {
  /** Of the rows from `offset` on. */
  slices(offset: number, spanRows: number): Generator<Slice>
  free(): void
}

/**
 * Reads the row group, in one read where its columns lie together, and decodes all of it. Undefined where its pages are of a
 * kind that is left to parquet-wasm. Throws `over_budget` before it allocates more than `budget` bytes.
 */
export async function decodeRowGroup(
  kernel: Kernel,
  file: FileBytes,
  flat: FlatRowGroup,
  budget: number,
): Promise<DecodedRowGroup | undefined> {
  const { name, title, group } = flat
  const stored = group.columns.reduce((sum, { total_compressed_size }) => sum + total_compressed_size, 0)
  if (stored > budget) throw overBudget(name, title, stored, budget)
  return withRanges(file, columnRanges(group), chunks => decodeChunks(kernel, flat, chunks, budget))
}

/** Where the columns of a row group lie. */
export function columnRanges({ columns }: RowGroup): readonly Range[] {
  return columns.map(({ data_page_offset: data, dictionary_page_offset: dictionary, ...column }) => {
    // 0: some writers' way to say that there is none
    const start = dictionary ? Math.min(dictionary, data) : data
    return { start, end: start + column.total_compressed_size }
  })
}

function decodeChunks(
  kernel: Kernel,
  { name, title, group, columns }: FlatRowGroup,
  chunks: readonly Uint8Array[],
  budget: number,
): DecodedRowGroup | undefined {
  try {
    const stored = columns.map((column, index) => ({
      column,
      codec: group.columns[index]!.codec,
      bytes: chunks[index]!,
    }))
    const plan = planRowGroup(group.num_rows, stored)
    const most = Math.min(budget, MOST_BYTES)
    if (plan.bytes > most) throw overBudget(name, title, plan.bytes, most)
    return decodePlanned(kernel, plan)
  } catch (error) {
    if (error instanceof Unsupported) return undefined
    throw error instanceof Damaged ? corrupt(name, error.message, error) : error
  }
}

function decodePlanned(kernel: Kernel, plan: RowGroupPlan): DecodedRowGroup {
  const { rows } = plan
  const base = kernel.exports.allocate(plan.bytes)
  const free = (): void => kernel.exports.free(base)
  try {
    // a view has 31 bits for an address, and addresses above them are negative here
    if (base < 0 || base + plan.bytes > 2 ** 31) throw new Unsupported('addresses of 32 bits')
    const memory = new PageMemory(kernel, plan, base)
    return decodedRows(
      kernel.memory,
      plan.columns.map(column => decodeColumn(memory, column)),
      rows,
      free,
    )
  } catch (error) {
    free()
    throw error
  }
}

/** A function of its own, so that what was only needed for decoding is not held on to. */
function decodedRows(
  memory: WebAssembly.Memory,
  columns: readonly DecodedColumn[],
  rows: number,
  free: () => void,
): DecodedRowGroup {
  return {
    free,
    *slices(offset, spanRows) {
      for (let row = offset; row < rows; row += spanRows) {
        const end = Math.min(row + spanRows, rows)
        yield { rows: end - row, use: consume => consume(memoryBatch(memory, columns, row, end)) }
      }
    },
  }
}
