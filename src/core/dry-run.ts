/** What a request would come to, before any job is made of it. */
import { randomUUID } from 'node:crypto'
import type { FilledBatch } from '../columnar/read-plan.ts'
import { framedRows } from '../columnar/reframe.ts'
import type { SinkSession } from '../sinks/sink.ts'
import type { Estimate, Staged, StageRequest } from '../sources/source.ts'
import { type DestinationName, nameOf } from './destination-name.ts'
import { closeWithin } from './destination-run.ts'
import { MillraceError } from './errors.ts'
import type { Json } from './json.ts'
import { failureOf } from './opening.ts'
import type { Destination } from './options.ts'
import type { Surroundings } from './owned-job.ts'
import { encodingOf, planReading } from './plan.ts'
import { type Resolved, registeredSinks, resolveRequest, storedValues } from './resolve.ts'
import { eventsOf, rowsOf } from './row-options.ts'
import { discardStaged } from './staging.ts'
import { streamContext, streamUnit } from './streams.ts'

/** A row as a destination would get it. */
export interface Sample extends DestinationName {
  readonly payload: string
  readonly key: string | null
  /** The row's stable name, where the destination is sent one; of a job that there is not, unless it is made of a unique key. */
  readonly id: string | null
}

type Parts = Pick<Surroundings, 'source' | 'store' | 'lanes' | 'settings'>

/** Rejects with a `RequestError` as the creation of a job would, and with code `conflict` where the source cannot tell. */
export async function estimateRequest(input: unknown, parts: Parts, signal: AbortSignal): Promise<Estimate> {
  const { source } = parts
  const request = stageRequest(await resolve(input, parts, signal), parts)
  if (!source.estimate)
    throw new MillraceError('conflict', `the source ${source.name} cannot tell what staging would come to`)
  return source.estimate(request, signal)
}

/**
 * Stages one row that the request matches, as all of them would be, opens every destination as a probe, and removes what was staged.
 * No rows where none match.
 */
export async function sampleRequest(input: unknown, parts: Parts, signal: AbortSignal): Promise<readonly Sample[]> {
  const { source, settings } = parts
  const resolved = await resolve(input, parts, signal)
  const destinations = resolved.destinations.map(ref => ({ ref, registered: settings.destinations.get(nameOf(ref))! }))
  const sessions: { readonly destination: Destination; readonly session: SinkSession }[] = []
  for (const { ref, registered } of destinations) {
    const { schema, request } = resolved
    const staticEgressIp = request.static_egress_ip ?? false
    const { order } = registered.delivery
    const context = streamContext({
      schema,
      destination: ref,
      order,
      probe: true,
      staticEgressIp,
      ...eventsOf(registered.delivery.rows),
      leaseEpoch: 0,
      signal,
    })
    const session = await registered.sink.open(context).catch(error => {
      throw signal.aborted ? error : failureOf(ref, error)
    })
    await closeWithin(session)
    sessions.push({ destination: registered, session })
  }
  const request = { ...stageRequest(resolved, parts), limit: 1 }
  let saved: Json | undefined
  try {
    const staged = await source.stage(
      request,
      undefined,
      async state => {
        saved = state
      },
      signal,
    )
    const samples = await Promise.all(sessions.map(each => readSample(each, staged, resolved, parts, signal)))
    return samples.filter(sample => sample !== undefined)
  } finally {
    await discardStaged(source, { stagingId: request.stagingId, saved: saved ?? null })
  }
}

function resolve(input: unknown, { source, store, settings }: Parts, signal: AbortSignal): Promise<Resolved> {
  return resolveRequest(input, { source, store, sinks: registeredSinks(settings) }, signal)
}

function stageRequest({ schema, window, filter, destinations }: Resolved, { settings }: Parts): StageRequest {
  const orders = destinations.map(destination => settings.destinations.get(nameOf(destination))!.delivery.order)
  const id = randomUUID()
  return {
    jobId: id,
    stagingId: `dry-run-${id}`,
    schema,
    window,
    ...(filter ? { filter } : {}),
    sorted: orders.includes('total'),
    fileBytes: settings.stagedFileBytes,
  }
}

async function readSample(
  { destination: { sink, delivery }, session }: { readonly destination: Destination; readonly session: SinkSession },
  { files, residual, tableColumns }: Staged,
  { schema }: Resolved,
  { source, store, lanes, settings }: Parts,
  signal: AbortSignal,
): Promise<Sample | undefined> {
  const jobId = randomUUID()
  const unit = streamUnit({
    jobId,
    files,
    ...(residual ? { predicate: residual } : {}),
    ...(tableColumns ? { tableColumns } : {}),
    ...rowsOf(delivery, schema, jobId),
    limits: { ...delivery, rowGroupBudgetBytes: settings.rowGroupBudgetBytes },
  })
  const reader = lanes.read(
    planReading(unit, session, []),
    chunk => source.access(files[chunk]!, signal),
    ref => storedValues(store, ref, residual!.filter!.type),
  )
  try {
    const batch = await firstBatch(reader)
    if (!batch) return undefined
    const [row] = await lanes.openRows(framedRows(batch, encodingOf(session)), [0])
    const { payload, key, id } = row!
    return { type: sink.type, name: sink.name, payload: Buffer.from(payload).toString(), key, id }
  } finally {
    await reader.close()
  }
}

async function firstBatch(reader: ReturnType<Parts['lanes']['read']>): Promise<FilledBatch | undefined> {
  for (;;) {
    const span = await reader.next()
    const [batch] = span === undefined || span.bytes > 0 ? [...(span?.batches ?? []), ...(await reader.cut())] : []
    if (batch || !span) return batch
  }
}
