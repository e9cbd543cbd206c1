/** Worlds that differ in what the engine promises something about. */
import { afterEach } from 'vitest'
import { SimulatedDelivery, type World } from './simulated-delivery.ts'

export const chunks = [400, 120, 0, 333]
export const small = { batchRows: 30 }
export const keyed = { chunks, spanRows: 50, partitions: 12, selectivity: 0.7 }

export const WORLDS: readonly (readonly [string, World])[] = [
  ['with rows in any order', { chunks, spanRows: 50, selectivity: 0.7, destination: { limits: small, trouble: 0.1 } }],
  ['in NDJSON', { chunks, spanRows: 50, destination: { encoding: { kind: 'ndjson' }, partialTrouble: 0.3 } }],
  ['in JSON arrays', { chunks, spanRows: 50, destination: { encoding: { kind: 'json-array' }, partialTrouble: 0.3 } }],
  ['with a filter that few rows pass', { chunks, spanRows: 50, selectivity: 0.01, destination: { limits: small } }],
  [
    'with a filter that few rows pass, over 12 partitions',
    { ...keyed, chunks: [3_000, 2_000], selectivity: 0.01, destination: { limits: { lingerMs: 1e9 } } },
  ],
  ['with a filter that no row passes', { chunks, spanRows: 50, selectivity: 0, destination: { limits: small } }],
  ['with a window of one span', { chunks, spanRows: 50, limits: { maxUnsettledRows: 50 } }],
  ['with a window of few bytes', { chunks, spanRows: 50, limits: { maxUnsettledBytes: 1_000 } }],
  [
    'with memory for less than a span',
    { chunks, spanRows: 50, memoryBytes: 1, destination: { limits: small, trouble: 0.1 } },
  ],
  [
    'with memory for less than a span, over 12 partitions, never cut by time',
    { ...keyed, memoryBytes: 1, destination: { limits: { lingerMs: 1e9 } } },
  ],
  ['with memory for two spans, over 12 partitions', { ...keyed, memoryBytes: 4_000, destination: { limits: small } }],
  [
    'with memory for less than a span, in stable batches',
    {
      chunks,
      spanRows: 50,
      memoryBytes: 1,
      selectivity: 0.7,
      destination: { stable: true, limits: { batchRows: 80 }, trouble: 0.1 },
    },
  ],
  [
    'with memory for less than a span, and commits',
    { ...keyed, memoryBytes: 1, destination: { commits: 'plain', limits: { commitRows: 100 } } },
  ],
  ['with slow reports', { chunks, spanRows: 50, reportMs: 300, destination: { limits: small } }],
  ['without lingering', { chunks, spanRows: 50, destination: { limits: { lingerMs: 0 } } }],
  ['over 12 partitions', { ...keyed, destination: { limits: small, trouble: 0.1 } }],
  ['over 12 partitions, never cut by time', { ...keyed, destination: { limits: { lingerMs: 1e9 } } }],
  ['over 500 partitions', { ...keyed, partitions: 500, destination: { limits: { inFlight: 16, lingerMs: 1e9 } } }],
  ['over 12 partitions, with a window of one span', { ...keyed, limits: { maxUnsettledRows: 50 } }],
  [
    'over 12 partitions in order of keys',
    { ...keyed, order: 'key', destination: { limits: { inFlight: 6 }, trouble: 0.2 } },
  ],
  [
    'in order of keys, with a sink that allows more',
    { ...keyed, order: 'key', destination: { limits: { inFlightPerPartition: 3 }, trouble: 0.2 } },
  ],
  [
    'in order of keys, with a sink that retries on its own',
    {
      ...keyed,
      order: 'key',
      destination: { retries: 'own', limits: { ...small, inFlight: 16, inFlightPerPartition: 5 } },
    },
  ],
  ['in total order', { chunks, spanRows: 50, order: 'total', destination: { limits: small, trouble: 0.2 } }],
  [
    'with dead letters',
    { ...keyed, poison: 0.05, limits: { maxDeadLetters: 100 }, destination: { limits: small, partialTrouble: 0.1 } },
  ],
  [
    'with dead letters of a sink that retries on its own',
    { ...keyed, poison: 0.05, limits: { maxDeadLetters: 100 }, destination: { limits: small, retries: 'own' } },
  ],
  [
    'in stable batches',
    {
      chunks,
      spanRows: 50,
      selectivity: 0.7,
      destination: { stable: true, limits: { batchRows: 80 }, trouble: 0.1 },
    },
  ],
  ['in stable batches smaller than a span', { chunks, spanRows: 50, destination: { stable: true, limits: small } }],
  [
    'in stable batches of a sparse table',
    { chunks, spanRows: 50, selectivity: 0.05, destination: { stable: true, limits: small } },
  ],
  [
    'in stable batches that the window cuts',
    {
      chunks,
      spanRows: 50,
      limits: { maxUnsettledRows: 120 },
      destination: { stable: true, limits: { batchRows: 300 } },
    },
  ],
  ['at a limited pace', { chunks, spanRows: 50, pace: { rowsPerSecond: 200 }, destination: { limits: small } }],
  [
    'at a pace of less than a batch in a second, over 12 partitions, in order of keys',
    { ...keyed, order: 'key', pace: { rowsPerSecond: 20 }, destination: { limits: small, trouble: 0.2 } },
  ],
  [
    'at a limited pace, with commits',
    {
      ...keyed,
      pace: { rowsPerSecond: 400 },
      destination: { commits: 'plain', limits: { ...small, commitRows: 100 } },
    },
  ],
  [
    'with a destination that is down for a while, in order of keys',
    { ...keyed, order: 'key', destination: { downUntilMs: 5_000, limits: { ...small, inFlight: 8 } } },
  ],
  ['with one commit', { ...keyed, destination: { commits: 'plain', limits: small, trouble: 0.1 } }],
  ['with commits every 100 rows', { ...keyed, destination: { commits: 'plain', limits: { commitRows: 100 } } }],
  ['with commits every 50 ms', { ...keyed, destination: { commits: 'plain', limits: { ...small, commitMs: 50 } } }],
  [
    'with commits and a window of one span',
    { ...keyed, limits: { maxUnsettledRows: 50 }, destination: { commits: 'plain', limits: { lingerMs: 1e9 } } },
  ],
  [
    'with commits of dead letters',
    {
      ...keyed,
      poison: 0.05,
      limits: { maxDeadLetters: 100 },
      destination: { commits: 'plain', limits: { commitRows: 100 } },
    },
  ],
  [
    'with a sink that keeps the checkpoints',
    { ...keyed, destination: { commits: 'keeps', limits: { commitRows: 100 } } },
  ],
]

/** Worlds of each kind; more of them take longer to find less. */
export const SEEDS = Number(process.env['MILLRACE_SEEDS'] ?? 12)

/** To be called once by a test file; what it answers begins a delivery, in whose time the test then lives. */
export function useSimulations(): (seed: number, world: World) => SimulatedDelivery {
  let simulated: SimulatedDelivery | undefined
  afterEach(() => simulated?.time.restore())
  return (seed, world) => {
    simulated?.time.restore()
    simulated = new SimulatedDelivery(seed, world)
    return simulated
  }
}
