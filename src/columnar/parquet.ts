/**
 * Parquet files, row group by row group. The kernel decodes flat ones: it does less than parquet-wasm, which has to copy and
 * check every string, and so takes a third of the time. parquet-wasm has all the rest, and is loaded where it is needed.
 */
import type { Column } from './column-type.ts'
import type { FileBytes, Range } from './file-bytes.ts'
import { parquetColumns } from './file-columns.ts'
import { corrupt, overBudget } from './file-errors.ts'
import { kernelChoice } from './kernel.ts'
import { flatColumns, isReadable } from './parquet/flat-columns.ts'
import { mergeRanges } from './parquet/ranges.ts'
import { columnRanges, type DecodedRowGroup, decodeRowGroup } from './parquet/row-group.ts'
import type { WasmDecoder } from './parquet/wasm-decoder.ts'
import { type ParquetFooter, readFooter } from './parquet-footer.ts'
import { AHEAD_BYTES } from './read-ahead.ts'
import type { PlannedChunk, ReadPlan } from './read-plan.ts'
import type { Part, Prune, Slice } from './spans.ts'
import { columnRange } from './statistics.ts'

/**
 * The file's row groups. Only those that are decoded are read, and before one is decoded, its size is checked against the budget.
 * `skips`: of which parts it is known that they will not be decoded.
 */
export async function* parquetParts(
  chunk: PlannedChunk,
  file: FileBytes,
  plan: Pick<ReadPlan, 'spanRows' | 'rowGroupBudgetBytes'>,
  skips: Prune = () => false,
): AsyncGenerator<Part> {
  const footer = await readFooter(chunk, file)
  const { name } = chunk
  const found = footer.row_groups.reduce((sum, { num_rows }) => sum + num_rows, 0)
  if (found !== footer.num_rows)
    throw corrupt(name, `has ${footer.num_rows} rows by its footer and ${found} in its row groups`)
  const decoders = new Decoders(name, file, footer, plan)
  let described: readonly Column[] | undefined
  const columns = (): readonly Column[] => (described ??= parquetColumns(footer))
  let end = 0
  const parts = footer.row_groups.map(({ num_rows }, index) => {
    end += num_rows
    const part: Part = {
      rows: num_rows,
      columns,
      range: column => columnRange(footer, index, column),
      decode: offset => decoders.decode(index, offset),
    }
    return { part, isRead: num_rows > 0 && end > chunk.fromRow && !skips(part) }
  })
  decoders.expect(parts.flatMap(({ isRead }, index) => (isRead ? [index] : [])))
  try {
    for (const { part } of parts) yield part
  } finally {
    decoders.close()
  }
}

class Decoders {
  readonly #name: string
  readonly #file: FileBytes
  readonly #footer: ParquetFooter
  readonly #plan: Pick<ReadPlan, 'spanRows' | 'rowGroupBudgetBytes'>
  readonly #kernel = kernelChoice().kernel
  readonly #columns: ReturnType<typeof flatColumns>
  #wasm: WasmDecoder | undefined
  /** The row groups that will be decoded, in order. */
  #expected: readonly number[] = []

  constructor(
    name: string,
    file: FileBytes,
    footer: ParquetFooter,
    plan: Pick<ReadPlan, 'spanRows' | 'rowGroupBudgetBytes'>,
  ) {
    this.#name = name
    this.#file = file
    this.#footer = footer
    this.#plan = plan
    this.#columns = this.#kernel && flatColumns(footer)
  }

  async *decode(index: number, offset: number): AsyncGenerator<Slice> {
    const { spanRows } = this.#plan
    this.#readAhead(index)
    const decoded = await this.#inKernel(index)
    // its bytes are not needed any more
    if (decoded) this.#readAhead(index + 1)
    if (!decoded) return yield* (await this.#inWasm(index)).slices(index, offset, spanRows)
    try {
      yield* decoded.slices(offset, spanRows)
    } finally {
      decoded.free()
    }
  }

  expect(rowGroups: readonly number[]): void {
    this.#expected = rowGroups
    this.#readAhead(0)
  }

  close(): void {
    this.#wasm?.close()
  }

  /** As much of the row groups from a certain one on as may be read ahead, and then some. */
  #readAhead(from: number): void {
    if (!this.#file.ahead) return
    const ranges: Range[] = []
    let bytes = 0
    for (const index of this.#expected) {
      if (index < from) continue
      if (bytes > 2 * AHEAD_BYTES) break
      for (const range of mergeRanges(columnRanges(this.#footer.row_groups[index]!))) {
        bytes += range.end - range.start
        ranges.push(range)
      }
    }
    this.#file.ahead(ranges)
  }

  async #inKernel(index: number): Promise<DecodedRowGroup | undefined> {
    const [kernel, columns, group] = [this.#kernel, this.#columns, this.#footer.row_groups[index]!]
    if (!kernel || !columns || !isReadable(group, columns)) return undefined
    const flat = { name: this.#name, title: `row group ${index}`, group, columns }
    return decodeRowGroup(kernel, this.#file, flat, this.#plan.rowGroupBudgetBytes)
  }

  async #inWasm(index: number): Promise<WasmDecoder> {
    const { total_byte_size } = this.#footer.row_groups[index]!
    const budget = this.#plan.rowGroupBudgetBytes
    if (total_byte_size > budget) throw overBudget(this.#name, `row group ${index}`, total_byte_size, budget)
    const { WasmDecoder } = await import('./parquet/wasm-decoder.ts')
    this.#wasm ??= new WasmDecoder(this.#name, this.#file)
    return this.#wasm
  }
}
