/** The rows of a Parquet file as the kernel decodes them, and as parquet-wasm does. */
import { openFileBytes } from '../../../src/columnar/file-bytes.ts'
import { chooseKernel, type Kernel } from '../../../src/columnar/kernel.ts'
import { flatColumns, isReadable } from '../../../src/columnar/parquet/flat-columns.ts'
import { decodeRowGroup } from '../../../src/columnar/parquet/row-group.ts'
import { WasmDecoder } from '../../../src/columnar/parquet/wasm-decoder.ts'
import { readFooter } from '../../../src/columnar/parquet-footer.ts'
import { renderRows } from '../../../src/columnar/render.ts'
import type { Slice } from '../../../src/columnar/spans.ts'
import { chunkOf, countingAccess } from '../read-units.ts'

export const kernel: Kernel = chooseKernel('wasm').kernel!

export interface Decoding {
  readonly spanRows?: number
  /** First row of each row group. */
  readonly offset?: number
  readonly budget?: number
}

/** JSON of all rows; undefined where any row group is left to parquet-wasm. */
export async function kernelRows(bytes: Uint8Array, decoding: Decoding = {}): Promise<string[] | undefined> {
  const { spanRows = 1000, offset = 0, budget = 1 << 28 } = decoding
  const { chunk, file } = await opened(bytes)
  const footer = await readFooter(chunk, file)
  const columns = flatColumns(footer)
  if (!columns) return undefined
  const rows: string[] = []
  for (const [index, group] of footer.row_groups.entries()) {
    if (!isReadable(group, columns)) return undefined
    const flat = { name: chunk.name, title: `row group ${index}`, group, columns }
    const decoded = await decodeRowGroup(kernel, file, flat, budget)
    if (!decoded) return undefined
    try {
      for (const slice of decoded.slices(offset, spanRows)) rows.push(...jsonOf(slice))
    } finally {
      decoded.free()
    }
  }
  return rows
}

export async function wasmRows(bytes: Uint8Array, { spanRows = 1000, offset = 0 }: Decoding = {}): Promise<string[]> {
  const { chunk, file } = await opened(bytes)
  const footer = await readFooter(chunk, file)
  const decoder = new WasmDecoder(chunk.name, file)
  const rows: string[] = []
  try {
    for (const [index, { num_rows }] of footer.row_groups.entries()) {
      if (num_rows <= offset) continue
      for await (const slice of decoder.slices(index, offset, spanRows)) rows.push(...jsonOf(slice))
    }
  } finally {
    decoder.close()
  }
  return rows
}

async function opened(bytes: Uint8Array) {
  const chunk = chunkOf(bytes)
  return { chunk, file: await openFileBytes(chunk, async () => countingAccess(bytes), new AbortController().signal) }
}

function jsonOf({ rows, use }: Slice): string[] {
  return use(batch => Array.from({ length: rows }, (_, row) => row).map(renderRows(batch)))
}
