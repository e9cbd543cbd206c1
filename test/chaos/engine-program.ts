/**
 * An engine in a process of its own, to be killed: `node engine-program.ts <settings as JSON>`. Creates the one job of its store,
 * or goes on with it, and tells how it ends. Speaks JSON lines, and takes commands, a line each.
 */
import { subscribe } from 'node:diagnostics_channel'
import { createInterface } from 'node:readline'
import type { Diagnostics } from '../../src/core/diagnostics.ts'
import { createEngine, type Engine } from '../../src/core/engine.ts'
import { isMillraceError } from '../../src/core/errors.ts'
import type { Job } from '../../src/core/job.ts'
import { destinationUid } from '../../src/core/resolve.ts'
import { fileSink } from '../../src/sinks/file.ts'
import { kafkaSink } from '../../src/sinks/kafka.ts'
import { duckdbSource } from '../../src/sources/duckdb.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import type { Lease, Store } from '../../src/stores/store.ts'
import type { Command, EngineSettings, Said } from './engine-settings.ts'
import { TABLE } from './table.ts'

const settings = JSON.parse(process.argv[2]!) as EngineSettings
const { rowsPerSecond } = settings.kafka
const TOPIC = destinationUid('kafka', 'topic')
const told = new Set<string>()

subscribe('millrace:warning', message => {
  const { message: what, error } = message as Diagnostics['warning']
  say({ event: 'warning', message: `${what}: ${error}` })
})
subscribe('millrace:unit', message => {
  const [, uid] = (message as Diagnostics['unit']).unit.split('/')
  once('delivering')
  if (uid === TOPIC) once('sending')
})

const engine = createEngine({
  source: duckdbSource({
    database: settings.database,
    stagingDir: settings.stagingDir,
    tables: { [TABLE]: { partitionKeys: ['paid_at'] } },
    rowGroupRows: settings.rowGroupRows,
  }),
  store: tellingOwners(sqliteStore({ path: settings.store })),
  sinks: [
    {
      sink: kafkaSink({
        name: 'topic',
        brokers: settings.kafka.brokers,
        topic: settings.kafka.topic,
        compression: settings.kafka.compression,
        ...(settings.kafka.keyed ? { key: 'account' } : {}),
        lingerMs: 10,
        deadlineMs: 30_000,
      }),
      pace: rowsPerSecond === undefined ? {} : { rowsPerSecond },
    },
    fileSink({ name: 'files', dir: settings.files }),
    fileSink({ name: 'again', dir: settings.again }),
  ],
  lanes: 1,
  delivery: {
    maxUnsettledRows: settings.maxUnsettledRows,
    unitsInFlight: settings.unitsInFlight,
    checkpointMs: settings.checkpointMs,
  },
  stagedFileBytes: settings.stagedFileBytes,
  leaseMs: settings.leaseMs,
  keepStagedMs: { completed: settings.keepCompletedMs },
})
say({ event: 'ready' })

/** Each ends when the job is final; one of them may make it go on. */
let again = Promise.withResolvers<void>()
try {
  const [known] = await engine.list()
  const { job_id } = known ?? (await create(engine))
  createInterface({ input: process.stdin })
    .on('line', line => void obey(line as Command, job_id))
    .on('close', () => process.exit(0))
  for (;;) {
    say(finalOf(await lastOf(engine.watch(job_id))))
    await again.promise
    again = Promise.withResolvers()
  }
} catch (error) {
  fail(error)
}

function create(engine: Engine): Promise<Job> {
  const destinations = [
    { type: 'kafka', name: 'topic' },
    { type: 'file', name: 'files' },
  ]
  return engine.create({ table: TABLE, backfill_window: settings.window, destinations })
}

async function obey(command: Command, jobId: string): Promise<void> {
  try {
    if (command === 'cancel') await engine.cancel(jobId)
    if (command === 'retry') await engine.retry(jobId)
    if (command === 'redeliver') await engine.redeliver(jobId, { type: 'file', name: 'again' })
  } catch (error) {
    // what was asked for too late, or is under way already
    if (!(isMillraceError(error) && error.code === 'conflict')) fail(error)
  }
  if (command === 'close') await engine.close().then(() => process.exit(0), fail)
  else again.resolve()
}

async function lastOf(states: AsyncIterable<Job>): Promise<Job> {
  let last: Job | undefined
  for await (const job of states) last = job
  return last!
}

function finalOf({ status, error_message, destinations }: Job): Said {
  return {
    event: 'final',
    status: status as 'completed',
    error: error_message,
    delivered: Object.fromEntries(destinations.map(({ name, delivered }) => [name, delivered])),
  }
}

/**
 * What a killed process may have sent twice is bounded by how often its job was claimed; a claim is told before anything is sent.
 * Who no longer owns the job is told so by the first call that asks for it.
 */
function tellingOwners(store: Store): Store {
  return {
    ...store,
    async claim(seen) {
      const lease = await store.claim(seen)
      if (lease) say({ event: 'claimed', epoch: lease.epoch })
      return lease
    },
    async release(lease) {
      say({ event: 'released', epoch: lease.epoch })
      return store.release(lease)
    },
    beat: asOwner(store.beat),
    saveStaging: asOwner(store.saveStaging),
    transition: asOwner(store.transition),
    setDestination: asOwner(store.setDestination),
    startUnit: asOwner(store.startUnit),
    report: asOwner(store.report),
  }
}

function asOwner<Rest extends unknown[], T>(call: (lease: Lease, ...rest: Rest) => Promise<T>) {
  return async (lease: Lease, ...rest: Rest): Promise<T> => {
    try {
      return await call(lease, ...rest)
    } catch (error) {
      if (isMillraceError(error) && error.code === 'lease_lost') say({ event: 'lost', epoch: lease.epoch })
      throw error
    }
  }
}

function fail(error: unknown): void {
  const code = isMillraceError(error) ? error.code : 'none'
  say({ event: 'error', code, message: error instanceof Error ? error.message : String(error) })
  process.exit(1)
}

function once(event: 'delivering' | 'sending'): void {
  if (!told.has(event)) say({ event })
  told.add(event)
}

function say(said: Said): void {
  process.stdout.write(`${JSON.stringify(said)}\n`)
}
