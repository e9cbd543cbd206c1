/** Reads a row group and decodes it in the kernel. */
import type { FileBytes } from '../file-bytes.ts'
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
import { readRanges } from './ranges.ts'

export interface FlatRowGroup {
  /** Of the staged file. */
  readonly name: string
  /** "row group 3", for errors. */
  readonly title: string
  readonly group: RowGroup
  readonly columns: readonly FlatColumn[]
}

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
  group: FlatRowGroup,
  budget: number,
): Promise<DecodedRowGroup | undefined> {
  const plan = await readPlanned(file, group, budget)
  if (!plan) return undefined
  const { rows } = plan
  const base = kernel.exports.allocate(plan.bytes)
  const columns = decodeColumns(kernel, group.name, plan, base)
  return {
    *slices(offset, spanRows) {
      for (let row = offset; row < rows; row += spanRows) {
        const end = Math.min(row + spanRows, rows)
        yield { rows: end - row, use: consume => consume(memoryBatch(kernel.memory, columns, row, end)) }
      }
    },
    free: () => kernel.exports.free(base),
  }
}

/** What of the row group lies where, and goes where. */
async function readPlanned(
  file: FileBytes,
  { name, title, group, columns }: FlatRowGroup,
  budget: number,
): Promise<RowGroupPlan | undefined> {
  const check = (bytes: number): void => {
    if (bytes > budget) throw overBudget(name, title, bytes, budget)
  }
  check(group.columns.reduce((sum, { total_compressed_size }) => sum + total_compressed_size, 0))
  const chunks = await readRanges(
    file,
    group.columns.map(({ data_page_offset: data, dictionary_page_offset: dictionary, total_compressed_size }) => {
      // 0: some writers' way to say that there is none
      const start = dictionary ? Math.min(dictionary, data) : data
      return { start, end: start + total_compressed_size }
    }),
  )
  try {
    const stored = columns.map((column, index) => ({
      column,
      codec: group.columns[index]!.codec,
      bytes: chunks[index]!,
    }))
    const plan = planRowGroup(group.num_rows, stored)
    check(plan.bytes)
    return plan
  } catch (error) {
    if (error instanceof Unsupported) return undefined
    throw named(name, error)
  }
}

/** Frees the memory where it fails. */
function decodeColumns(kernel: Kernel, name: string, plan: RowGroupPlan, base: number): readonly DecodedColumn[] {
  try {
    const memory = new PageMemory(kernel, plan, base)
    return plan.columns.map(column => decodeColumn(memory, column))
  } catch (error) {
    kernel.exports.free(base)
    throw named(name, error)
  }
}

function named(name: string, error: unknown): unknown {
  return error instanceof Damaged ? corrupt(name, error.message, error) : error
}
