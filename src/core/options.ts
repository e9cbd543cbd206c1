/** The engine's options with their defaults, checked once. */
import type { Sink } from '../sinks/sink.ts'
import type { DeliveryOptions, EngineOptions, SinkRegistration } from './engine.ts'
import { ConfigError, type Problem } from './errors.ts'
import { MOST_SPAN_ROWS } from './plan.ts'

export interface Destination {
  readonly sink: Sink
  readonly delivery: Required<DeliveryOptions>
}

export interface Settings {
  /** By `type/name`. */
  readonly destinations: ReadonlyMap<string, Destination>
  readonly stagedFileBytes: number
  readonly rowGroupBudgetBytes: number
  readonly leaseMs: number
  readonly cancelGraceMs: number
}

const MEBIBYTE = 1 << 20

export const ROW_GROUP_BUDGET_BYTES: number = 256 * MEBIBYTE

export const DELIVERY_DEFAULTS: Required<DeliveryOptions> = {
  order: 'none',
  maxUnsettledRows: 200_000,
  maxUnsettledBytes: 64 * MEBIBYTE,
  maxDeadLetters: 0,
  unitsInFlight: 2,
  checkpointMs: 500,
  deliveryDeadlineMs: 300_000,
}

/** Throws a `ConfigError` that lists every problem. */
export function resolveOptions(options: EngineOptions): Settings {
  const problems: Problem[] = []
  const settings = {
    destinations: resolveDestinations(options, problems),
    stagedFileBytes: options.stagedFileBytes ?? 32 * MEBIBYTE,
    rowGroupBudgetBytes: options.rowGroupBudgetBytes ?? ROW_GROUP_BUDGET_BYTES,
    leaseMs: options.leaseMs ?? 30_000,
    cancelGraceMs: options.cancelGraceMs ?? 10_000,
  }
  const { destinations: _, ...numbers } = settings
  checkNumbers('', numbers, problems)
  checkCount('lanes', options.lanes ?? 0, problems)
  if (problems.length > 0) {
    throw new ConfigError(problems.map(problem => `${problem.path}: ${problem.message}`).join('\n'), { problems })
  }
  return settings
}

function resolveDestinations(options: EngineOptions, problems: Problem[]): Map<string, Destination> {
  const destinations = new Map<string, Destination>()
  if (options.sinks.length === 0) problems.push({ path: 'sinks', message: 'at least one is needed' })
  options.sinks.forEach((entry, index) => {
    const { sink, ...own } = isRegistration(entry) ? entry : { sink: entry }
    const key = `${sink.type}/${sink.name}`
    if (destinations.has(key)) problems.push({ path: `sinks[${index}]`, message: `${key} is registered twice` })
    destinations.set(key, {
      sink,
      delivery: resolveDelivery({ ...options.delivery, ...own }, `sinks[${index}].`, problems),
    })
  })
  return destinations
}

function isRegistration(entry: Sink | SinkRegistration): entry is SinkRegistration {
  return 'sink' in entry
}

function resolveDelivery(options: DeliveryOptions, path: string, problems: Problem[]): Required<DeliveryOptions> {
  const delivery = { ...DELIVERY_DEFAULTS, ...options, ...(options.order === 'total' ? { unitsInFlight: 1 } : {}) }
  const { order, maxDeadLetters, ...positive } = delivery
  checkNumbers(path, positive, problems)
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

/** A Node timer of more is one of 1 ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

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
