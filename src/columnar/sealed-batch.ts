/** The last step of a record batch in a lane, the same for both encoders. */
import { compressBatch } from './compress.ts'
import type { Allocate } from './encoder.ts'
import type { FilledBatch, KafkaEncoding } from './read-plan.ts'
import { HEADER_BYTES, readRecords } from './record-batch.ts'
import type { RowTally } from './row-tally.ts'

export interface FinishedBatch extends ReturnType<RowTally['take']> {
  readonly partition: number
  /** Uncompressed; a view that is not kept. */
  readonly bytes: Uint8Array<ArrayBuffer>
}

/**
 * Compresses a batch into memory of its own. One that is then still more than the topic takes has a single row, since
 * encoders cut before that: its row is refused. Judged only now and not by the row's own size, because what counts for
 * the broker is the compressed one.
 */
export function sealBatch(finished: FinishedBatch, encoding: KafkaEncoding, allocate: Allocate): FilledBatch {
  const { bytes, partition, ...rows } = finished
  const { compression, maxBatchBytes = Number.POSITIVE_INFINITY } = encoding
  const sealed = compressBatch(bytes, compression, allocate)
  if (sealed.length <= maxBatchBytes) return { ...rows, bytes: sealed, ends: new Uint32Array(0), partition }
  const [record] = readRecords(bytes, bytes.subarray(HEADER_BYTES), encoding)
  const payload = allocate(record!.value.length)
  payload.set(record!.value)
  const refusal = `a record batch of ${sealed.length} bytes with this row alone is more than the topic takes (max.message.bytes = ${maxBatchBytes})`
  return { ...rows, bytes: payload, ends: Uint32Array.of(payload.length), refusal }
}
