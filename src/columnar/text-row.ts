/** A row that is JSON text already, and what is made of it beside its payload. */
import { rowChecksum } from './checksum.ts'
import type { EncoderPlan } from './encoder.ts'
import { idColumns, rowId } from './row-ids.ts'
import { memberText } from './row-members.ts'

export interface TextRow {
  readonly chunk: number
  /** Its number in the chunk. */
  readonly row: number
  /** The row's JSON. */
  readonly payload: string
}

/** The row's stable name, where the plan has ids. */
export function textRowId({ ids }: Pick<EncoderPlan, 'ids'>, { chunk, row, payload }: TextRow): string | undefined {
  if (ids === undefined) return undefined
  const texts = idColumns(ids).map(column => memberText(payload, column))
  return rowId(ids, chunk, row, texts)
}

/** What the row adds to the sum of its batch. */
export function textRowChecksum(plan: Pick<EncoderPlan, 'ids' | 'encoding'>, row: TextRow): string {
  const column = plan.encoding.kind === 'kafka-batch' ? plan.encoding.key : undefined
  const key = column === undefined ? null : memberText(row.payload, column)
  return rowChecksum(Buffer.from(row.payload), { id: bytesOf(textRowId(plan, row)), key: bytesOf(key) })
}

function bytesOf(text: string | null | undefined): Uint8Array | null {
  return text === null || text === undefined ? null : Buffer.from(text)
}
