/** A row that is JSON text already, in the table's own form, and what is made of it. */
import type { EncoderPlan } from './encoder.ts'
import { idColumns, rowId } from './row-ids.ts'
import { membersOf, memberText } from './row-members.ts'
import { eventWriter, type RowShape, rowWriter } from './row-shape.ts'
import { transformOf } from './transform.ts'

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

/** Gives rows their shape; null where a transform leaves one out, and throws what that throws. It must have been loaded. */
export function textShaper(shape: RowShape | undefined): (row: TextRow) => string | null {
  if (!shape) return ({ payload }) => payload
  const { event, transform } = shape
  const writeRow = rowWriter({ columns: shape.columns, omitNulls: shape.omitNulls })
  const change = transform && transformOf(transform)
  const writeEvent = event && eventWriter(event)
  return row => {
    const members = membersOf(row.payload)
    const json = (column: string): string => members.get(column) ?? 'null'
    const written = writeRow(json)
    const data = change ? change(written) : written
    return data !== null && writeEvent ? writeEvent(data, json, textRowId(event, row)!) : data
  }
}
