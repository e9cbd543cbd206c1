/** Rows out of batches that were framed already, for the rare batch that a destination refuses in part. */
import type { Encoding } from './read-plan.ts'

/** A row as it was before it was framed. */
export interface OpenedRow {
  /** Of the record, for an encoding that has keys. */
  readonly key: string | null
  readonly payload: Uint8Array<ArrayBuffer>
}

/** What of a batch says where its rows are. `bytes` may have been completed by the sender. */
export interface FramedRows {
  readonly encoding: Encoding
  readonly rows: number
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly ends: Uint32Array<ArrayBuffer>
}

/** The rows at these positions of the batch; copies. */
export async function openRows(_framed: FramedRows, _positions: readonly number[]): Promise<OpenedRow[]> {
  throw new Error('to be written')
}

/** One batch, framed alike, for each group of positions (ascending). Fields that the sender completes are as in a new batch. */
export async function reframe(
  _framed: FramedRows,
  _groups: readonly (readonly number[])[],
): Promise<Pick<FramedRows, 'rows' | 'bytes' | 'ends'>[]> {
  throw new Error('to be written')
}
