/** The job as clients see it. */
import { z } from 'zod'

export const JOB_STATUSES = ['staging', 'transporting', 'completed', 'failed', 'cancelled'] as const
export type JobStatus = (typeof JOB_STATUSES)[number]

export const DESTINATION_STATES = ['pending', 'delivering', 'completed', 'failed', 'cancelled'] as const
export type DestinationState = (typeof DESTINATION_STATES)[number]

const count = z.int().nonnegative()
const limit = z.int().positive()

const destinationSchema = z.object({
  type: z.string(),
  name: z.string(),
  uid: z.uuid(),
  status: z.enum(DESTINATION_STATES),
  delivered: count.describe('Rows that the destination acknowledged.'),
  filtered: count.describe('Rows of staged files that the window or the filter left out.'),
  dead_lettered: count.describe('Rows that the destination refused for good.'),
  bytes: count.describe('Payload bytes of the delivered rows.'),
  chunks_left: count.nullable(),
  pace: z
    .object({ rows_per_second: limit.nullable(), bytes_per_second: limit.nullable() })
    .nullable()
    .describe('Most that it is sent in a second.'),
  error_message: z.string().nullable(),
  error_code: z.string().nullable(),
})

export const jobSchema = z
  .object({
    job_id: z.uuid(),
    workflow_id: z.string(),
    organization_id: z.string(),
    status: z.enum(JOB_STATUSES),
    job_name: z.string().nullable(),
    table: z.string(),
    partition_key: z.string(),
    backfill_start: z.union([z.string(), z.int()]).describe('As the request said it.'),
    backfill_end: z.union([z.string(), z.int()]),
    filter_column: z.string().nullable(),
    filter_values: z
      .array(z.union([z.string(), z.number(), z.boolean()]))
      .nullable()
      .describe('The first 1,000 of those that the request had.'),
    filter_values_count: count.nullable().describe('How many values the request had.'),
    filter_values_ref: z.string().nullable(),
    destinations: z.array(destinationSchema),
    static_egress_ip: z.boolean(),
    num_chunks: count.nullable().describe('Null while staging.'),
    chunks_left: count.nullable().describe('Chunks that some destination that has not failed has yet to settle.'),
    error_message: z.string().nullable(),
    error_code: z.string().nullable(),
    queued: z.boolean().describe('Waits for a process to take it up, or for others of the organization to end.'),
    cancel_requested: z.boolean(),
    paused: z.boolean().describe('Nothing is sent until the job is resumed.'),
    time_created: z.iso.datetime(),
    time_completed: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Job' })

export type Job = z.infer<typeof jobSchema>
export type JobDestination = Job['destinations'][number]

export function isFinal(status: JobStatus): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled'
}
