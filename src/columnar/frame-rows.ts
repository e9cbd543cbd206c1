/** Rows that are text already into batches, as the encoder of a staged file would fill them. */
import { MillraceError } from '../core/errors.ts'
import { loadCompression } from './compress.ts'
import type { EncoderPlan } from './encoder.ts'
import { openBatcher } from './javascript-encoder.ts'
import type { FilledBatch } from './read-plan.ts'
import { RefusedRows } from './refused-rows.ts'
import { memberText } from './row-members.ts'
import { type TextRow, textRowId, textShaper } from './text-row.ts'
import { failureOf, loadTransform } from './transform.ts'

/** `rows`: in the table's own form, by chunk and row. Each counts as a span, so that a batch tells of each what it adds to its sums. */
export async function frameRows(plan: EncoderPlan, rows: readonly TextRow[]): Promise<FilledBatch[]> {
  const { encoding } = plan
  if (encoding.kind === 'arrow-stream') throw notAsArrow()
  if (encoding.kind === 'kafka-batch') await loadCompression(encoding.compression)
  await loadTransform(plan.shape?.transform)
  const allocate = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(length)
  const batcher = openBatcher({ ...plan, encoding }, allocate, Date.now)
  const refused = new RefusedRows(plan, allocate)
  const shape = textShaper(plan.shape)
  for (const textRow of rows) {
    const { chunk, row, payload } = textRow
    batcher.beginSpan(chunk, row)
    refused.beginSpan(chunk, row)
    const id = textRowId(plan, textRow)
    const { shaped, reason = LEFT_OUT } = attempt(() => shape(textRow))
    if (shaped === null) refused.add(row, payload, id, reason)
    else
      batcher.add(
        row,
        shaped,
        batcher.columns.map(column => memberText(payload, column)),
        id,
      )
    batcher.endSpan()
    refused.endSpan()
  }
  batcher.cut()
  return [...batcher.takeFilled(), ...refused.takeFilled()]
}

function notAsArrow(): MillraceError {
  const message =
    'rows that were refused cannot be sent again one by one to a destination that takes Arrow: redeliver their chunks'
  return new MillraceError('conflict', message)
}

/** It was to be delivered once, and is not to be forgotten now. */
const LEFT_OUT = 'the transform leaves this row out'

function attempt(shape: () => string | null): { readonly shaped: string | null; readonly reason?: string } {
  try {
    return { shaped: shape() }
  } catch (error) {
    return { shaped: null, reason: failureOf(error) }
  }
}
