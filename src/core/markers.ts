/** Control messages before the first and behind the last row of a delivery, for consumers that want to know. */
import type { Marker, SinkSession } from '../sinks/sink.ts'
import type { DestinationRecord, JobRecord, Store } from '../stores/store.ts'
import type { Destination } from './options.ts'
import type { Checkpoint } from './unit.ts'

export interface Markers {
  /** Before anything is sent; not where something of this delivery has been settled before. */
  start(): Promise<void>
  /** When every row is settled. */
  end(): Promise<void>
}

/**
 * At least once, as rows: what ends between a marker and what is stored about it sends it again. `stored`: the checkpoints with
 * which this process began.
 */
export function markersOf(
  session: SinkSession,
  { uid, delivery: number }: DestinationRecord,
  { jobId, request }: JobRecord,
  { delivery }: Destination,
  {
    store,
    stored,
    signal,
  }: {
    readonly store: Pick<Store, 'get'>
    readonly stored: readonly Checkpoint[]
    readonly signal: AbortSignal
  },
): Markers {
  const about = { job_id: jobId, table: request.table, window: request.backfill_window, delivery: number }
  const mark = async (marker: Marker): Promise<void> => {
    if (delivery.markers) await session.mark!(marker, signal)
  }
  return {
    start: async () => (stored.length === 0 ? mark({ event: 'start', ...about }) : undefined),
    async end() {
      const record = (await store.get(jobId))!.destinationRecords.find(destination => destination.uid === uid)!
      const { delivered, filtered, deadLettered, bytes } = record
      await mark({ event: 'end', ...about, delivered, filtered, dead_lettered: deadLettered, bytes })
    },
  }
}
