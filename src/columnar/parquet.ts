/**
 * Parquet files, row group by row group. The kernel decodes flat ones: it does less than parquet-wasm, which has to copy and
 * check every string, and so takes a third of the time. parquet-wasm has all the rest, and is loaded where it is needed.
 */
import type { Column } from './column-type.ts'
import type { FileBytes } from './file-bytes.ts'
import { parquetColumns } from './file-columns.ts'
import { corrupt, overBudget } from './file-errors.ts'
import { kernelChoice } from './kernel.ts'
import { flatColumns, isReadable } from './parquet/flat-columns.ts'
import { type DecodedRowGroup, decodeRowGroup } from './parquet/row-group.ts'
import type { WasmDecoder } from './parquet/wasm-decoder.ts'
import { type ParquetFooter, readFooter } from './parquet-footer.ts'
import type { PlannedChunk, ReadPlan } from './read-plan.ts'
import type { Part, Slice } from './spans.ts'
import { columnRange } from './statistics.ts'

/** The file's row groups. Only those that are decoded are read, and before one is decoded, its size is checked against the budget. */
export async function* parquetParts(
  chunk: PlannedChunk,
  file: FileBytes,
  plan: Pick<ReadPlan, 'spanRows' | 'rowGroupBudgetBytes'>,
): AsyncGenerator<Part> {
  const footer = await readFooter(chunk, file)
  const { name } = chunk
  const found = footer.row_groups.reduce((sum, { num_rows }) => sum + num_rows, 0)
  if (found !== footer.num_rows)
    throw corrupt(name, `has ${footer.num_rows} rows by its footer and ${found} in its row groups`)
  const decoders = new Decoders(name, file, footer, plan)
  let described: readonly Column[] | undefined
  const columns = (): readonly Column[] => (described ??= parquetColumns(footer))
  try {
    for (const [index, { num_rows }] of footer.row_groups.entries()) {
      yield {
        rows: num_rows,
        columns,
        range: column => columnRange(footer, index, column),
        decode: offset => decoders.decode(index, offset),
      }
    }
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
    const decoded = await this.#inKernel(index)
    if (!decoded) return yield* (await this.#inWasm(index)).slices(index, offset, spanRows)
    try {
      yield* decoded.slices(offset, spanRows)
    } finally {
      decoded.free()
    }
  }

  close(): void {
    this.#wasm?.close()
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
