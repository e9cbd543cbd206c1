/** The second half of a job, for one of its destinations: every unit is delivered, or the destination fails. */
import type { TableSchema } from '../columnar/column-type.ts'
import type { SinkContext, SinkSession } from '../sinks/sink.ts'
import type { DestinationRecord, Manifest, Pace, Wishes } from '../stores/store.ts'
import type { Share } from './budget.ts'
import { Circuit } from './circuit.ts'
import { nameOf } from './destination-name.ts'
import { publish } from './diagnostics.ts'
import { asMillraceError, DeliveryError, ERRORS, type ErrorCode, MillraceError } from './errors.ts'
import { markersOf } from './markers.ts'
import { narrowAll } from './narrowing.ts'
import { failureOf, openPatiently } from './opening.ts'
import type { Destination } from './options.ts'
import type { OwnedJob } from './owned-job.ts'
import type { Pacer } from './pace.ts'
import { encodingOf } from './plan.ts'
import { storedValues } from './resolve.ts'
import { eventsOf, type RowOptions, rowsOf } from './row-options.ts'
import type { Delivery } from './runner.ts'
import type { Checkpoint, ReportAnswer, Unit, UnitLimits, UnitReport } from './unit.ts'
import { Waits } from './waits.ts'

export interface Control {
  /** Ends the delivery in a hurry. */
  readonly signal: AbortSignal
  /** Aborts when the job is to end or to be left: what was not begun is not to begin. */
  readonly ending: AbortSignal
  /** What is wanted of the delivery now. */
  stop(): ReportAnswer['stop']
  /** Takes note of what the store says is wished of the job. */
  heed(wishes: Wishes): void
  /** What limits the pace of the destination with that uid; `registered`: where nothing else is wished. */
  pacer(uid: string, registered: Pace): Pacer
}

/** Resolves with what the destination failed with, if it did. Rejects only where that could not be stored. */
export async function deliverTo(
  destination: DestinationRecord,
  manifest: Manifest,
  job: OwnedJob,
  control: Control,
): Promise<'done' | 'stopped' | MillraceError> {
  const { lease, surroundings } = job
  const { store, onChanged } = surroundings
  if (destination.state === 'completed') return 'done'
  if (destination.state === 'failed') return failedBefore(destination)
  try {
    await store.setDestination(lease, destination.uid, { state: 'delivering' })
    if ((await runUnits(destination, manifest, job, control)) === 'stopped') return 'stopped'
    await store.setDestination(lease, destination.uid, { state: 'completed' })
    return 'done'
  } catch (error) {
    if (control.stop() !== undefined) return 'stopped'
    const failure = asMillraceError(error, 'delivery')
    if (failure.code === 'store_failed' || failure.code === 'lease_lost') throw failure
    const { code, message } = failure
    await store.setDestination(lease, destination.uid, { state: 'failed', error: { code, message } })
    return failureOf(destination, failure)
  } finally {
    onChanged(lease.jobId)
  }
}

/** Under an earlier owner of the job, or before a redelivery to another destination. */
function failedBefore({ error, ...destination }: DestinationRecord): MillraceError {
  const code = error && error.code in ERRORS ? (error.code as ErrorCode) : 'delivery_failed'
  return failureOf(destination, new MillraceError(code, error?.message ?? 'it had failed'))
}

/**
 * The session of a sink for one destination of a job; a probe's is to be closed at once. Rejects when `signal` aborts, whether or
 * not the sink heeds that; a session that it opens after all is closed.
 */
export async function openSession(
  { record, lease, surroundings }: OwnedJob,
  { type, name, uid, saved }: DestinationRecord,
  { schema, probe, signal }: Pick<SinkContext, 'schema' | 'probe' | 'signal'>,
): Promise<SinkSession> {
  const { store, settings, lanes } = surroundings
  const { sink, delivery } = settings.destinations.get(nameOf({ type, name }))!
  const staticEgressIp = record.request.static_egress_ip ?? false
  if (staticEgressIp && !sink.staticEgress) throw withoutStaticEgress()
  const { transform } = delivery.rows
  if (transform) await lanes.loadTransform({ ...transform, bigints: [] })
  const opening: Promise<SinkSession> = sink.open({
    jobId: record.jobId,
    organizationId: record.organizationId,
    destination: { type, name, uid },
    schema,
    order: delivery.order,
    probe,
    staticEgressIp,
    ...eventsOf(delivery.rows),
    leaseEpoch: probe ? 0 : lease.epoch,
    saved,
    save: state => store.setDestination(lease, uid, { saved: state }),
    reframe: async (batch, groups) =>
      narrowAll(batch, encodingOf(await opening), groups, (...parts) => lanes.reframe(...parts)),
    signal,
  })
  const waits = new Waits()
  const onAbort = (): void => waits.end(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    signal.throwIfAborted()
    const session = await waits.wait(opening)
    requireRows(session, delivery.rows)
    return session
  } catch (error) {
    opening.then(late => closeWithin(late)).catch(() => {})
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** What a session takes is known only now. */
function requireRows(session: SinkSession, { columns: _, ...others }: RowOptions): void {
  if (encodingOf(session).kind !== 'arrow-stream' || Object.keys(others).length === 0) return
  const message = `the sink takes Arrow, for which of its rows only columns may be chosen, and not ${Object.keys(others).join(', ')}`
  throw new DeliveryError(message, { code: 'destination_misconfigured' })
}

/** Creation refuses such a job; but it may be delivered elsewhere later, or by a process that is configured otherwise. */
function withoutStaticEgress(): DeliveryError {
  const message = 'the job asks for static_egress_ip, and the sink has no static egress address configured'
  return new DeliveryError(message, { code: 'destination_misconfigured' })
}

async function runUnits(
  destination: DestinationRecord,
  manifest: Manifest,
  job: OwnedJob,
  control: Control,
): Promise<'done' | 'stopped'> {
  const { [destination.uid]: stored = [] } = await job.surroundings.store.checkpoints(job.record.jobId)
  const done = new Set(stored.filter(checkpoint => checkpoint.done).map(({ chunk }) => chunk))
  const pending = [...manifest.units.keys()].filter(index => !manifest.units[index]!.every(chunk => done.has(chunk)))
  const registered = job.surroundings.settings.destinations.get(nameOf(destination))!
  if (pending.length === 0 && !registered.delivery.markers) return 'done'
  const { schema } = manifest
  const session = await openPatiently(
    () => openSession(job, destination, { schema, probe: false, signal: control.signal }),
    { destination, deadlineMs: registered.delivery.deliveryDeadlineMs, signal: control.ending },
  )
  const memory = job.surroundings.memory.share()
  try {
    if (control.stop() !== undefined) return 'stopped'
    const { store, runner } = job.surroundings
    const context = { store, stored, signal: control.signal }
    const markers = markersOf(session, destination, job.record, registered, context)
    await markers.start()
    const delivery = deliveryOf(destination, manifest, job, control, { session, memory, pending, stored })
    const result = await runner.run(delivery, control.signal)
    if (result === 'done') await markers.end()
    return result
  } finally {
    memory.close()
    await closeWithin(session)
  }
}

interface Progress {
  readonly session: SinkSession
  readonly memory: Share
  /** The units that are left, by their place in the manifest. */
  readonly pending: readonly number[]
  /** The checkpoints with which this process began. */
  readonly stored: readonly Checkpoint[]
}

function deliveryOf(
  destination: DestinationRecord,
  manifest: Manifest,
  job: OwnedJob,
  control: Control,
  { session, memory, pending, stored }: Progress,
): Delivery {
  const { record, lease, surroundings } = job
  const { uid } = destination
  const { source, store, lanes, settings, onChanged } = surroundings
  const { delivery } = settings.destinations.get(nameOf(destination))!
  const started = new Set<number>()
  const pacer = control.pacer(uid, delivery.pace)
  const retries = session.retries ?? 'engine'
  const circuit = new Circuit(event =>
    publish('circuit', { job_id: record.jobId, destination: nameOf(destination), ...event }),
  )

  /** Only a unit that is started again can have moved since this process began. */
  async function checkpointsOf(index: number): Promise<readonly Checkpoint[]> {
    const known = started.has(index) ? ((await store.checkpoints(record.jobId))[uid] ?? []) : stored
    started.add(index)
    const chunks = new Set(manifest.units[index])
    return known.filter(({ chunk }) => chunks.has(chunk))
  }

  async function start(index: number): Promise<Unit> {
    const id = `${record.jobId}/${uid}/${destination.delivery}/${index}`
    return {
      id,
      attempt: await store.startUnit(lease, id),
      ...commonOf(job, destination, manifest.schema),
      chunks: manifest.units[index]!.map(chunk => ({ chunk, file: manifest.files[chunk]! })),
      from: await checkpointsOf(index),
      ...(manifest.residual ? { predicate: manifest.residual } : {}),
      ...(manifest.tableColumns ? { tableColumns: manifest.tableColumns } : {}),
      spanRows: manifest.spanRows,
      limits: limitsOf(delivery, settings.rowGroupBudgetBytes),
    }
  }

  async function report(news: UnitReport): Promise<ReportAnswer> {
    const empty = news.checkpoints.length === 0 && news.deadLetters.length === 0 && news.proof.length === 0
    const answer = empty ? undefined : await store.report(lease, news, delivery.maxDeadLetters)
    if (answer) {
      control.heed(answer.wishes)
      onChanged(record.jobId)
    }
    const stop = control.stop()
    return { deadLettersRefused: answer?.deadLettersRefused ?? 0, ...(stop === undefined ? {} : { stop }) }
  }

  return {
    units: pending.length,
    unitsInFlight: delivery.unitsInFlight,
    start: place => start(pending[place]!),
    tools: {
      session,
      read: plan =>
        lanes.read(
          plan,
          chunk => source.access(manifest.files[chunk]!, control.signal),
          ref => storedValues(store, ref, manifest.residual!.filter!.type),
        ),
      openRows: (framed, positions) => lanes.openRows(framed, positions),
      report,
      credit: memory.credit,
      gate: wake => pacer.gate(wake),
      ...(retries === 'engine' ? { circuit } : {}),
    },
  }
}

type Common = 'jobId' | 'organizationId' | 'leaseEpoch' | 'destination' | 'delivery' | 'order' | 'uniqueKey' | 'shape'

/** What all units of a job have in common that go to one destination. */
export function commonOf(
  { record, lease, surroundings }: OwnedJob,
  { type, name, uid, delivery }: DestinationRecord,
  schema: TableSchema,
): Pick<Unit, Common> {
  const options = surroundings.settings.destinations.get(nameOf({ type, name }))!.delivery
  return {
    jobId: record.jobId,
    organizationId: record.organizationId,
    leaseEpoch: lease.epoch,
    destination: { type, name, uid },
    delivery,
    order: options.order,
    ...rowsOf(options, schema, record.jobId),
  }
}

/** What a destination may have unsettled is shared out evenly among the units under way. */
function limitsOf(delivery: Destination['delivery'], rowGroupBudgetBytes: number): UnitLimits {
  const { unitsInFlight, maxUnsettledRows, maxUnsettledBytes } = delivery
  return {
    ...delivery,
    maxUnsettledRows: Math.floor(maxUnsettledRows / unitsInFlight),
    maxUnsettledBytes: Math.ceil(maxUnsettledBytes / unitsInFlight),
    rowGroupBudgetBytes,
  }
}

const CLOSE_MS = 10_000

/** A sink that does not close in time is left to itself: nothing of the job depends on it any more. */
export async function closeWithin(session: SinkSession): Promise<void> {
  const timeout = new Promise<void>(resolve => setTimeout(resolve, CLOSE_MS).unref())
  const closed = session.close().catch(error => publish('warning', { message: 'a sink did not close', error }))
  await Promise.race([closed, timeout])
}
