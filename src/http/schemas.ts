/** What answers look like, for the document and for the client's types: the job and the request have their schemas in `core/`. */
import { z } from 'zod'
import type { StoredDeadLetter } from '../core/dead-letters.ts'
import { DESTINATION_STATES, JOB_STATUSES } from '../core/job.ts'
import type { Receipt } from '../core/receipt.ts'
import type { RedriveResult } from '../core/redrive.ts'
import type { Estimate } from '../sources/source.ts'

const count = z.int().nonnegative()
const name = z.string().min(1).max(1_024)

export const createdSchema = z.object({ job_id: z.uuid(), workflow_id: z.string() })
export type Created = z.infer<typeof createdSchema>

export const valueSetSchema = z.object({
  values_ref: z.string().describe('What a request names the set by: `filter.values_ref`.'),
  count: count.describe('Distinct values.'),
})
export type UploadedValues = z.infer<typeof valueSetSchema>

export const estimateSchema = z.object({
  rows: count.nullable().describe('Exact; null where counting would take as long as staging.'),
  files: count.nullable(),
  bytes: count.nullable(),
  columns: z.array(z.object({ name: z.string(), native: z.string().describe('The type as the warehouse names it.') })),
})
/** Without the SQL, which is the host's own. */
export type ApiEstimate = z.infer<typeof estimateSchema>

export function toApiEstimate({ rows, files, bytes, columns }: Estimate): ApiEstimate {
  return { rows, files, bytes, columns: columns.map(({ name, native }) => ({ name, native })) }
}

const proofSchema = z
  .array(z.object({ partition: z.int().optional(), first: z.string(), last: z.string() }))
  .describe('Where the destination has the rows, as far as it says so.')

const tallies = { delivered: count, filtered: count, dead_lettered: count, bytes: count }

export const receiptSchema = z.object({
  job_id: z.uuid(),
  organization_id: z.string(),
  table: z.string(),
  status: z.enum(JOB_STATUSES),
  time_created: z.iso.datetime(),
  time_completed: z.iso.datetime().nullable(),
  num_chunks: count.nullable(),
  destinations: z.array(
    z.object({
      type: z.string(),
      name: z.string(),
      uid: z.uuid(),
      status: z.enum(DESTINATION_STATES),
      delivery: count.describe('0, raised by every redelivery.'),
      error_message: z.string().nullable(),
      staged: count.nullable(),
      ...tallies,
      chunks_left: count.nullable(),
      checksum: z.object({ sum: z.string(), hash: z.string(), of: z.string() }).nullable(),
      differences: z.array(z.object({ chunk: count, expected: count, settled: count })),
      chunks: z.array(
        z.object({
          chunk: count,
          staged: count.nullable(),
          row: count,
          done: z.boolean(),
          left_out: z.boolean(),
          ...tallies,
          checksum: z.string().nullable(),
        }),
      ),
      proof: proofSchema,
    }),
  ),
}) satisfies z.ZodType<Loose<Receipt>>

export const deadLetterSchema = z.object({
  destination: z.object({ type: z.string(), name: z.string() }),
  chunk: count,
  row: count,
  payload: z.string().describe("The row's JSON as text, with every digit."),
  key: z.string().nullable(),
  cause: z.string(),
  time: z.string(),
}) satisfies z.ZodType<StoredDeadLetter>

export const redriveResultSchema = z.object({
  redriven: count.describe('Rows that the destination took.'),
  refused: count.describe('Rows that it refused once more.'),
}) satisfies z.ZodType<RedriveResult>

export const destinationSchema = z.strictObject({ type: name, name })

const limit = z.int().positive().nullable().optional()

export const redeliverySchema = z.strictObject({
  type: name,
  name,
  chunks: z
    .strictObject({ from: count, to: count })
    .describe('Chunk numbers from `from` on, up to but not including `to`. Default: all.')
    .optional(),
})

export const paceSchema = z.strictObject({
  pace: z
    .strictObject({ rows_per_second: limit, bytes_per_second: limit })
    .nullable()
    .describe('Null: as the destination is registered. A limit that is missing or null is none.'),
})
export type PaceChange = z.infer<typeof paceSchema>

export const listQuerySchema = z.strictObject({
  status: z.enum(JOB_STATUSES).optional(),
  table: name.optional(),
  limit: z
    .string()
    .regex(/^0*([1-9]\d{0,2}|1000)$/, 'must be a whole number from 1 to 1000')
    .transform(Number)
    .optional(),
  cursor: z.string().min(1).max(512).optional(),
})

/** Optional properties of interfaces as zod has them, which `exactOptionalPropertyTypes` tells apart. */
type Loose<T> = T extends readonly (infer Item)[]
  ? readonly Loose<Item>[]
  : T extends object
    ? { [Key in keyof T]: undefined extends T[Key] ? Loose<T[Key]> | undefined : Loose<T[Key]> }
    : T
