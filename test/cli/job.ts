import type { Job, JobDestination } from '../../src/core/job.ts'

/** A job of the wire, for what shows jobs. */
export function sampleJob(changes: Partial<Job> = {}): Job {
  return {
    job_id: '0b0f6a52-7d1e-4b7a-9c43-0e8f6d2b1a90',
    workflow_id: 'beam-backfill-default-0b0f6a52-7d1e-4b7a-9c43-0e8f6d2b1a90',
    organization_id: 'default',
    status: 'transporting',
    job_name: null,
    table: 'flights',
    partition_key: 'date',
    backfill_start: '2001-01-01',
    backfill_end: '2001-02-01',
    filter_column: null,
    filter_values: null,
    filter_values_count: null,
    filter_values_ref: null,
    destinations: [sampleDestination()],
    static_egress_ip: false,
    num_chunks: 40,
    chunks_left: 12,
    error_message: null,
    error_code: null,
    queued: false,
    cancel_requested: false,
    paused: false,
    time_created: '2026-03-01T12:00:00.000Z',
    time_completed: null,
    ...changes,
  }
}

export function sampleDestination(changes: Partial<JobDestination> = {}): JobDestination {
  return {
    type: 'file',
    name: 'out',
    uid: '3f0c6a52-7d1e-8b7a-9c43-0e8f6d2b1a90',
    status: 'delivering',
    delivered: 1_234_567,
    filtered: 0,
    dead_lettered: 0,
    bytes: 45_200_000,
    chunks_left: 12,
    pace: null,
    error_message: null,
    error_code: null,
    ...changes,
  }
}
