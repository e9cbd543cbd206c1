/** Whether a configuration works with the live systems that it names, before any job needs it. */
import type { TableSchema } from '../columnar/column-type.ts'
import type { Check, Source } from '../sources/source.ts'
import { nameOf } from './destination-name.ts'
import { closeWithin } from './destination-run.ts'
import { asMillraceError, ERRORS } from './errors.ts'
import { type Destination, type EngineOptions, resolveOptions } from './options.ts'
import { destinationUid } from './resolve.ts'
import { eventsOf } from './row-options.ts'
import { streamContext } from './streams.ts'

export interface Finding extends Check {
  /** `source snowflake`, `destination kafka/transfers`, `job store`. */
  readonly part: string
  /** Of the command line, where this failed. */
  readonly exit: number
}

/**
 * Looks at the store, the source and every destination, one after the other. Destinations are opened as probes for `table`, or
 * for whichever table of the catalogue suits them: not every destination takes every table.
 */
export async function* examine(
  options: EngineOptions,
  table: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  const { destinations } = resolveOptions(options)
  if (options.store) yield await checkStore(options.store)
  const schemas: TableSchema[] = []
  for await (const check of checkSource(options.source, table, schemas, signal))
    yield { part: `source ${options.source.name}`, exit: ERRORS.source_failed.exit, ...check }
  for (const destination of destinations.values()) {
    const check = await checkDestination(destination, schemas, signal)
    yield { part: `destination ${nameOf(destination.sink)}`, exit: ERRORS.destination_unavailable.exit, ...check }
  }
}

async function checkStore(store: NonNullable<EngineOptions['store']>): Promise<Finding> {
  const where = { part: 'job store', what: 'can be read', exit: ERRORS.store_failed.exit }
  try {
    await store.list({ limit: 1 })
    return { ...where, ok: true }
  } catch (error) {
    return { ...where, ok: false, said: sayOf(error) }
  }
}

/** Adds to `schemas` what it could describe. What cannot be described for a reason that was told already is not told again. */
async function* checkSource(
  source: Source,
  only: string | undefined,
  schemas: TableSchema[],
  signal: AbortSignal,
): AsyncGenerator<Check> {
  try {
    const checks = (await source.check?.(signal)) ?? []
    yield* checks
    for (const table of only === undefined ? await source.tables() : [only]) {
      const what = `table ${table} as the catalogue has it`
      try {
        const schema = await source.describe(table, signal)
        schemas.push(schema)
        yield { what, ok: true, said: `${schema.columns.length} columns, cut by ${schema.partitionKeys.join(' or ')}` }
      } catch (error) {
        signal.throwIfAborted()
        if (checks.every(({ ok }) => ok)) yield { what, ok: false, said: sayOf(error) }
      }
    }
  } catch (error) {
    signal.throwIfAborted()
    yield { what: 'can be reached', ok: false, said: sayOf(error) }
  }
}

async function checkDestination(
  { sink, delivery }: Destination,
  schemas: readonly TableSchema[],
  signal: AbortSignal,
): Promise<Check> {
  const what = 'can be opened'
  if (schemas.length === 0) return { what, ok: false, said: 'it could not be tried, since no table could be described' }
  const said: string[] = []
  for (const schema of schemas) {
    const { type, name } = sink
    const context = streamContext({
      schema,
      destination: { type, name, uid: destinationUid(type, name) },
      order: delivery.order,
      probe: true,
      ...eventsOf(delivery.rows),
      leaseEpoch: 0,
      signal,
    })
    try {
      await closeWithin(await sink.open(context))
      return { what, ok: true, ...(schemas.length > 1 ? { said: `takes table ${schema.table}` } : {}) }
    } catch (error) {
      signal.throwIfAborted()
      said.push(sayOf(error))
    }
  }
  return { what, ok: false, said: [...new Set(said)].join('; ') }
}

function sayOf(error: unknown): string {
  return asMillraceError(error, 'unexpected error').message
}
