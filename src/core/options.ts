/** The engine's options with their defaults, checked once. */
import { availableParallelism } from 'node:os'
import type { Sink } from '../sinks/sink.ts'
import type { Source } from '../sources/source.ts'
import type { Pace, Store } from '../stores/store.ts'
import { nameOf } from './destination-name.ts'
import { ConfigError, type Problem } from './errors.ts'
import { DEFAULT_LEASE_MS } from './heartbeats.ts'
import { readPace } from './pace.ts'
import { MOST_SPAN_ROWS } from './plan.ts'
import { type RowOptions, rowOptionProblems } from './row-options.ts'
import { LONGEST_TIMER_MS } from './timers.ts'
import type { Order } from './unit.ts'

export interface EngineOptions {
  readonly source: Source
  /** Where rows may be sent. A registration gives one destination its own delivery options. */
  readonly sinks: readonly (Sink | SinkRegistration)[]
  /** Default: `sqliteStore()`, a file in `.millrace/`. */
  readonly store?: Store
  /** Worker threads that read and encode. Default: one less than there are processors, at least 1. 0: in the host's own thread, for debugging. */
  readonly lanes?: number
  /** For every destination that does not say otherwise. */
  readonly delivery?: DeliveryOptions
  /** About how large staged files are to be. Default 32 MiB. */
  readonly stagedFileBytes?: number
  /** Most bytes that decoding one row group of a staged file may take; more fails the job. Default 256 MiB. */
  readonly rowGroupBudgetBytes?: number
  /**
   * Memory for batches that fill or are on their way, over all destinations of all jobs under way, which have equal shares of it.
   * One that has less than a span of its rows needs is given that nevertheless. Default 128 MiB.
   */
  readonly memoryBudgetBytes?: number
  /** A job whose owner has not been heard of for this long may be taken over. Default 30 s. */
  readonly leaseMs?: number
  /**
   * Whether to go on with unfinished jobs of the store whose owner is gone, if this engine has their table and
   * destinations: all of them (default), those with the given ids, or none but what it began itself.
   */
  readonly takeOver?: boolean | readonly string[]
  /**
   * How long staged files are kept once their job has ended: so long can a failed job be retried, and any be delivered again. Default
   * 24 hours for failed jobs, 0 for completed ones.
   */
  readonly keepStagedMs?: { readonly failed?: number; readonly completed?: number }
  /**
   * Most jobs of one organization that run at a time, over all processes that share the store and are set to the same. Others wait in order
   * of their creation, `queued`; a paused job keeps its place. Default: no limit.
   */
  readonly maxRunningJobs?: number
  /** How long a cancelled job waits for what is in flight before it gives that up. Default 10 s. */
  readonly cancelGraceMs?: number
}

export interface SinkRegistration extends DeliveryOptions {
  readonly sink: Sink
}

export interface DeliveryOptions {
  /** Default `none`. */
  readonly order?: Order
  /**
   * Rows sent but not yet covered by a stored checkpoint: the bound on what a crash sends twice. Shared out among the units under way.
   * A checkpoint is stored when half of it is used, so a small one costs many writes. Default 200,000.
   */
  readonly maxUnsettledRows?: number
  /** The same in payload bytes. Default 256 MiB. A span more per unit is possible, since its size is not known before it is read. */
  readonly maxUnsettledBytes?: number
  /**
   * Columns that are a unique key of the table. The names of rows, where the sink hands them on (an id header, an idempotency key), are
   * then a hash of their values, the same in every job that sends the row; else they are made of the job and the row's place in it. Must
   * stay as it is while a job is under way. Default: none.
   */
  readonly uniqueKey?: readonly string[]
  /**
   * Whether the destination gets a message before the first row and one behind the last, with the job's id and at the end its counts:
   * Kafka, one in every partition. Default false.
   */
  readonly markers?: boolean
  /** How many rows may be refused for good before the destination fails. Default 0. */
  readonly maxDeadLetters?: number
  /**
   * Units delivered at the same time. Each holds a row group in memory. Default: as many as there are lanes, if `maxUnsettledRows` has
   * room for a span of each, and at least 2; 1 where `order` is `total`.
   */
  readonly unitsInFlight?: number
  /** Longest time between two checkpoints, and until a cancellation is noticed. Default 500 ms. */
  readonly checkpointMs?: number
  /**
   * How long one batch may be tried, over all attempts, and the opening of the destination. Default 5 minutes. Waiting for the
   * pace does not count.
   */
  readonly deliveryDeadlineMs?: number
  /**
   * How often one batch may be tried where the engine retries. Default 20: more than there is time for within the default deadline
   * while the destination is down and attempts are spaced out, so that how long it may be away is the deadline's to say; a batch
   * that keeps failing although others get through is given up after about three minutes. Raise both together.
   */
  readonly maxAttempts?: number
  /**
   * Most rows and bytes (of the batches, as they are sent) in a second for one job, over all its units; a limit that is missing is
   * none. Sending catches up by a second's worth at most. Never less than a batch is sent at once: with a pace far below the size of the
   * sink's batches they come seldom. What is sent again after a failure does not count again. Default: no limit. `engine.setPace`
   * changes it while a job runs.
   */
  readonly pace?: Pace
  /**
   * Whether checkpoints sum up checksums of the delivered rows, for the receipt. Default true: it costs about 3 % of a lane's time.
   * Without, sums are 0, and what is delivered is only counted.
   */
  readonly checksums?: boolean
  /** What the rows look like. Default: all columns, as the table has them. */
  readonly rows?: RowOptions
}

export interface Destination {
  readonly sink: Sink
  readonly delivery: Required<DeliveryOptions>
}

export interface Settings {
  /** By `type/name`. */
  readonly destinations: ReadonlyMap<string, Destination>
  readonly lanes: number
  readonly stagedFileBytes: number
  readonly rowGroupBudgetBytes: number
  readonly memoryBudgetBytes: number
  readonly leaseMs: number
  readonly cancelGraceMs: number
  readonly maxRunningJobs: number | undefined
  readonly keepStagedMs: { readonly failed: number; readonly completed: number }
}

const MEBIBYTE = 1 << 20

export const ROW_GROUP_BUDGET_BYTES: number = 256 * MEBIBYTE

/** All of it taken up by one slow destination, a process with two lanes stays below 450 MB; each more under way adds its row groups. */
const MEMORY_BUDGET_BYTES = 128 * MEBIBYTE

export const DELIVERY_DEFAULTS: Required<DeliveryOptions> = {
  order: 'none',
  uniqueKey: [],
  markers: false,
  maxUnsettledRows: 200_000,
  maxUnsettledBytes: 256 * MEBIBYTE,
  maxDeadLetters: 0,
  unitsInFlight: 2,
  checkpointMs: 500,
  deliveryDeadlineMs: 300_000,
  maxAttempts: 20,
  pace: {},
  checksums: true,
  rows: {},
}

/** The source has no part in what is checked here, and there may be none. */
type WithoutSource = Omit<EngineOptions, 'source'> & Partial<Pick<EngineOptions, 'source'>>

/** Throws a `ConfigError` that lists every problem. */
export function resolveOptions(options: WithoutSource): Settings {
  const problems: Problem[] = []
  const { lanes = Math.max(1, availableParallelism() - 1) } = options
  const settings = {
    destinations: resolveDestinations(options, lanes, problems),
    lanes,
    stagedFileBytes: options.stagedFileBytes ?? 32 * MEBIBYTE,
    rowGroupBudgetBytes: options.rowGroupBudgetBytes ?? ROW_GROUP_BUDGET_BYTES,
    memoryBudgetBytes: options.memoryBudgetBytes ?? MEMORY_BUDGET_BYTES,
    leaseMs: options.leaseMs ?? DEFAULT_LEASE_MS,
    cancelGraceMs: options.cancelGraceMs ?? 10_000,
    maxRunningJobs: options.maxRunningJobs,
    keepStagedMs: { failed: 24 * 3_600_000, completed: 0, ...options.keepStagedMs },
  }
  const { destinations: _, lanes: __, keepStagedMs, maxRunningJobs, ...numbers } = settings
  for (const [name, ms] of Object.entries(keepStagedMs)) checkCount(`keepStagedMs.${name}`, ms, problems)
  checkNumbers('', { ...numbers, ...(maxRunningJobs === undefined ? {} : { maxRunningJobs }) }, problems)
  checkCount('lanes', lanes, problems)
  if (problems.length > 0) {
    throw new ConfigError(problems.map(problem => `${problem.path}: ${problem.message}`).join('\n'), { problems })
  }
  return settings
}

function resolveDestinations(
  options: Omit<EngineOptions, 'source'>,
  lanes: number,
  problems: Problem[],
): Map<string, Destination> {
  const destinations = new Map<string, Destination>()
  if (options.sinks.length === 0) problems.push({ path: 'sinks', message: 'at least one is needed' })
  options.sinks.forEach((entry, index) => {
    const { sink, ...own } = isRegistration(entry) ? entry : { sink: entry }
    const key = nameOf(sink)
    if (destinations.has(key)) problems.push({ path: `sinks[${index}]`, message: `${key} is registered twice` })
    destinations.set(key, {
      sink,
      delivery: resolveDelivery({ ...options.delivery, ...own }, lanes, `sinks[${index}].`, problems),
    })
    const { markers, rows } = destinations.get(key)!.delivery
    if (markers && !sink.takesMarkers)
      problems.push({ path: `sinks[${index}].markers`, message: `${sink.type} sinks have none` })
    if (rows.cloudEvents?.mode === 'binary' && !sink.binaryCloudEvents)
      problems.push({
        path: `sinks[${index}].rows.cloudEvents.mode`,
        message: `${sink.type} sinks have no binary mode`,
      })
  })
  return destinations
}

function isRegistration(entry: Sink | SinkRegistration): entry is SinkRegistration {
  return 'sink' in entry
}

function resolveDelivery(
  options: DeliveryOptions,
  lanes: number,
  path: string,
  problems: Problem[],
): Required<DeliveryOptions> {
  const { maxUnsettledRows = DELIVERY_DEFAULTS.maxUnsettledRows, order: wanted } = options
  const unitsInFlight = Math.max(2, Math.min(lanes, Math.floor(maxUnsettledRows / MOST_SPAN_ROWS)))
  const total = wanted === 'total' ? { unitsInFlight: 1 } : {}
  const delivery = { ...DELIVERY_DEFAULTS, unitsInFlight, ...options, ...total }
  const { order, maxDeadLetters, checksums, markers, uniqueKey, pace, rows, ...positive } = delivery
  for (const [name, value] of Object.entries({ checksums, markers }))
    if (typeof value !== 'boolean') problems.push({ path: path + name, message: 'must be true or false' })
  if (!uniqueKey.every(column => typeof column === 'string'))
    problems.push({ path: `${path}uniqueKey`, message: 'must be names of columns' })
  problems.push(...rowOptionProblems(rows, `${path}rows`))
  checkNumbers(path, positive, problems)
  readPace(pace, `${path}pace`, problems)
  checkCount(`${path}maxDeadLetters`, maxDeadLetters, problems)
  if (!['none', 'key', 'total'].includes(order))
    problems.push({ path: `${path}order`, message: 'must be none, key or total' })
  // each unit under way must have room for a full span
  const leastRows = MOST_SPAN_ROWS * delivery.unitsInFlight
  if (delivery.maxUnsettledRows < leastRows) {
    const message = `must be at least ${leastRows}: a span of ${MOST_SPAN_ROWS} rows for each of the unitsInFlight`
    problems.push({ path: `${path}maxUnsettledRows`, message })
  }
  return delivery
}

function checkNumbers(path: string, numbers: Readonly<Record<string, number>>, problems: Problem[]): void {
  for (const [name, value] of Object.entries(numbers)) {
    const most = name.endsWith('Ms') ? LONGEST_TIMER_MS : Number.MAX_SAFE_INTEGER
    if (!(Number.isSafeInteger(value) && value > 0 && value <= most))
      problems.push({ path: path + name, message: `must be a whole number, above 0 and at most ${most}` })
  }
}

function checkCount(path: string, value: number, problems: Problem[]): void {
  if (!(Number.isSafeInteger(value) && value >= 0))
    problems.push({ path, message: 'must be a whole number, 0 or more' })
}
