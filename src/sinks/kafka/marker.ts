import { RecordBatchWriter } from '../../columnar/record-batch.ts'
import type { Marker, MessageBatch } from '../sink.ts'
import type { KafkaSettings } from './options.ts'

/** The header by which consumers tell a marker from a row; its value is the marker's event. */
const MARKER_HEADER = 'millrace-marker'

/** A record batch of one record: no key, the marker as JSON, the headers of all records and one that says what it is. */
export function markerBatch(marker: Marker, partition: number, { headers, timestamp }: KafkaSettings): MessageBatch {
  const writer = new RecordBatchWriter({ headers: { ...headers, [MARKER_HEADER]: marker.event } })
  writer.append({
    key: null,
    value: new Uint8Array(Buffer.from(JSON.stringify(marker))),
    // the sender writes the time where all records have that of sending
    timestamp: timestamp === 'now' ? 0n : BigInt(Date.now()),
    id: null,
  })
  return {
    unit: marker.job_id,
    name: `${marker.job_id}-${marker.delivery}-${marker.event}-${partition}`,
    rows: 1,
    bytes: writer.finish().slice(),
    ends: new Uint32Array(0),
    spans: [],
    partition,
  }
}
