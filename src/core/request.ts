/** The words of the wire: what a client sends to create a backfill. The TypeScript types come from these schemas. */

import { z } from 'zod'
import { nameOf } from './destination-name.ts'

/** More filter values than this do not fit in a request: they go into a value set, named by `values_ref`. */
const MAX_INLINE_VALUES = 100_000
const MAX_NAME = 1_024

const name = z.string().min(1).max(MAX_NAME)
const bound = z.union(
  [z.string().min(1).max(64), z.int()],
  'must be an ISO 8601 time, or an integer for an integer key',
)
const scalar = z.union([z.string(), z.number(), z.boolean()])

const backfillWindow = z
  .strictObject({
    partition_key: name.describe('A column that the catalogue allows for this table.').optional(),
    start: bound.describe('Inclusive. ISO 8601 (no offset means UTC), or an integer for an integer key.'),
    end: bound.describe('Exclusive.'),
  })
  .describe('The half-open window [start, end) of the partition key.')

const filter = z
  .strictObject({
    column: name,
    values: z
      .array(scalar)
      .min(1, 'must not be empty')
      .max(MAX_INLINE_VALUES, `must have at most ${MAX_INLINE_VALUES} values: upload more as a value set`)
      .optional(),
    values_ref: z
      .string()
      .regex(/^sha256:[0-9a-f]{64}$/)
      .describe('A value set that was uploaded before.')
      .optional(),
  })
  .refine(value => (value.values === undefined) !== (value.values_ref === undefined), {
    error: 'needs either values or values_ref',
    path: ['values'],
  })
  .describe("`column IN (values)`, with SQL's meaning; NULL never matches.")

const destinationRef = z.strictObject({ type: name, name })

export const backfillRequestSchema = z
  .strictObject({
    job_name: z.string().max(MAX_NAME).optional(),
    table: name,
    backfill_window: backfillWindow,
    filter: filter.optional(),
    destinations: z
      .array(destinationRef)
      .min(1, 'must name at least one')
      .max(100)
      .superRefine((destinations, context) => {
        const seen = new Set<string>()
        destinations.forEach((destination, index) => {
          const key = nameOf(destination)
          if (seen.has(key)) context.addIssue({ code: 'custom', path: [index], message: `${key} is named twice` })
          seen.add(key)
        })
      }),
    static_egress_ip: z.boolean().optional(),
  })
  .meta({ id: 'BackfillRequest' })

/** What `create` takes: `POST /api/v1/beam/backfills`. */
export type BackfillRequest = z.infer<typeof backfillRequestSchema>
