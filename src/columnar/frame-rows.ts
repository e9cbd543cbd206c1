/** Rows that are text already into batches, as the encoder of a staged file would fill them. */
import { loadCompression } from './compress.ts'
import type { EncoderPlan } from './encoder.ts'
import { openBatcher } from './javascript-encoder.ts'
import type { FilledBatch } from './read-plan.ts'
import { memberText } from './row-members.ts'
import { type TextRow, textRowId } from './text-row.ts'

/** `rows`: by chunk and row. Each chunk's count as one span, which begins at the first of them. */
export async function frameRows(plan: EncoderPlan, rows: readonly TextRow[]): Promise<FilledBatch[]> {
  if (plan.encoding.kind === 'kafka-batch') await loadCompression(plan.encoding.compression)
  const batcher = openBatcher(plan, length => new Uint8Array(length), Date.now)
  rows.forEach((textRow, index) => {
    const { chunk, row, payload } = textRow
    const before = rows[index - 1]?.chunk
    if (chunk !== before) {
      if (before !== undefined) batcher.endSpan()
      batcher.beginSpan(chunk, row)
    }
    const texts = batcher.columns.map(column => memberText(payload, column))
    batcher.add(row, payload, texts, textRowId(plan, textRow))
  })
  if (rows.length > 0) batcher.endSpan()
  batcher.cut()
  return batcher.takeFilled()
}
