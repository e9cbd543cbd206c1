import type { DestinationRecord, JobRecord, Pace } from '../stores/store.ts'
import { nameOf } from './destination-name.ts'
import { isFinal, type Job, type JobDestination } from './job.ts'
import type { Destination } from './options.ts'

/** Of a filter, in what is said of a job: whoever wants all of them has made the request. */
const MOST_VALUES = 1_000

type Registered = ReadonlyMap<string, Pick<Destination, 'delivery'>>

/**
 * A stored job in the words of the wire. `registered`, by `type/name`: what the paces of the job are where no other are wished; not
 * known to who has only the store.
 */
export function toJob(record: JobRecord, registered?: Registered): Job {
  const { request } = record
  const { start, end } = request.backfill_window
  return {
    job_id: record.jobId,
    workflow_id: `beam-backfill-${record.organizationId}-${record.jobId}`,
    organization_id: record.organizationId,
    status: record.status,
    job_name: request.job_name ?? null,
    table: request.table,
    partition_key: record.partitionKey,
    backfill_start: start,
    backfill_end: end,
    filter_column: request.filter?.column ?? null,
    filter_values: request.filter?.values?.slice(0, MOST_VALUES) ?? null,
    filter_values_count: request.filter?.values?.length ?? null,
    filter_values_ref: request.filter?.values_ref ?? null,
    destinations: record.destinationRecords.map(destination => ({
      ...toDestination(destination, record.numChunks),
      pace: toPace(paceOf(record, destination, registered)),
    })),
    static_egress_ip: request.static_egress_ip ?? false,
    num_chunks: record.numChunks ?? null,
    chunks_left: record.chunksLeft ?? null,
    error_message: record.error?.message ?? null,
    error_code: record.error?.code ?? null,
    queued: !isFinal(record.status) && record.beat === 0,
    cancel_requested: record.wishes.cancel ?? false,
    paused: record.wishes.pause ?? false,
    time_created: record.timeCreated,
    time_completed: record.timeCompleted ?? null,
  }
}

function paceOf({ wishes }: JobRecord, destination: DestinationRecord, registered?: Registered): Pace {
  return wishes.pace?.[destination.uid] ?? registered?.get(nameOf(destination))?.delivery.pace ?? {}
}

function toPace({ rowsPerSecond, bytesPerSecond }: Pace): JobDestination['pace'] {
  if (rowsPerSecond === undefined && bytesPerSecond === undefined) return null
  return { rows_per_second: rowsPerSecond ?? null, bytes_per_second: bytesPerSecond ?? null }
}

function toDestination(record: DestinationRecord, numChunks: number | undefined): Omit<JobDestination, 'pace'> {
  return {
    type: record.type,
    name: record.name,
    uid: record.uid,
    status: record.state,
    delivered: record.delivered,
    filtered: record.filtered,
    dead_lettered: record.deadLettered,
    bytes: record.bytes,
    chunks_left: numChunks === undefined ? null : numChunks - record.chunksDone,
    error_message: record.error?.message ?? null,
    error_code: record.error?.code ?? null,
  }
}
