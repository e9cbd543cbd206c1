/**
 * Delivers rows of the tests to a session through the engine itself: its reader, window and memory budget, its retries, order and
 * dead letters. Only the staged file is in memory, and the store an array.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Int64, Table, tableToIPC, Utf8, vectorFromArray } from 'apache-arrow'
import type { ReadPlan, UnitReader } from '../columnar/read-plan.ts'
import { MemoryBudget } from '../core/budget.ts'
import { Circuit } from '../core/circuit.ts'
import { deliverUnit } from '../core/deliver.ts'
import { createLanes } from '../core/lanes.ts'
import { Pacer } from '../core/pace.ts'
import type { DeadLetter, Unit } from '../core/unit.ts'
import type { SinkSession } from '../sinks/sink.ts'
import { type TestJob, type TestRow, testUnit } from './sink-driver.ts'

const SPAN_ROWS = 32
const BATCH_ROWS = 50
const WINDOW_BYTES = 1 << 20
const MEMORY_BYTES = 8 << 20
const STILL_MS = 300

export interface DeliveryInput {
  readonly job: TestJob
  readonly session: SinkSession
  /** Of chunk 0. */
  readonly rows: readonly TestRow[]
  /** Before each attempt at a batch. `begun`: rows of the attempts before. */
  readonly beforeWrite?: (begun: number) => Promise<void>
}

export interface Delivery {
  /** As `deliverUnit`. */
  readonly ended: Promise<'done' | 'stopped'>
  readonly deadLetters: readonly DeadLetter[]
  readonly progress: Readonly<Progress>
  /** Resolves when nothing has moved for a while, since it waits for the destination or for another attempt, or when it has ended. */
  still(): Promise<void>
}

interface Progress {
  readRows: number
  /** Of writes that resolved. */
  writtenRows: number
  /** The most payload that was ever read and not written. */
  mostOutstandingBytes: number
}

/** What may at most be outstanding: the window, and the span that overfills it. */
export function outstandingBound(rows: readonly TestRow[]): number {
  return WINDOW_BYTES + SPAN_ROWS * Math.max(...rows.map(sizeOf))
}

export function startDelivery({ job, session, rows, beforeWrite }: DeliveryInput): Delivery {
  const progress: Progress = { readRows: 0, writtenRows: 0, mostOutstandingBytes: 0 }
  const deadLetters: DeadLetter[] = []
  const file = arrowFile(rows)
  const lanes = createLanes(0)
  const access = { byteLength: file.length, read: async (start: number, end: number) => file.slice(start, end) }
  const meanBytes = rows.reduce((sum, row) => sum + sizeOf(row), 0) / Math.max(1, rows.length)
  let begun = 0
  let moves = 0
  let over = false

  function read(plan: ReadPlan): UnitReader {
    const reader = lanes.read(plan, async () => access, noValueSet)
    return {
      ...reader,
      async next() {
        const span = await reader.next()
        moves++
        progress.readRows += span?.rows ?? 0
        const outstanding = (progress.readRows - progress.writtenRows) * meanBytes
        if (outstanding > progress.mostOutstandingBytes) progress.mostOutstandingBytes = outstanding
        return span
      },
    }
  }

  const write: SinkSession['write'] = async (batch, signal) => {
    begun += batch.rows
    await beforeWrite?.(begun - batch.rows)
    moves++
    try {
      const proof = await session.write(batch, signal)
      progress.writtenRows += batch.rows
      return proof
    } finally {
      moves++
    }
  }

  const tools = {
    session: withWrite(session, write),
    read,
    openRows: lanes.openRows,
    credit: new MemoryBudget(MEMORY_BYTES).share().credit,
    gate: (wake: () => void) => new Pacer().gate(wake),
    report: async (report: { readonly deadLetters: readonly DeadLetter[] }) => {
      deadLetters.push(...report.deadLetters)
      return { deadLettersRefused: 0 }
    },
    ...(session.retries === 'own' ? {} : { circuit: new Circuit(() => {}) }),
  }
  const ended = deliverUnit(unitOf(job, rows, file), tools, new AbortController().signal).finally(() => {
    over = true
  })
  ended.catch(() => {}) // whoever waits hears of it

  async function still(): Promise<void> {
    for (let before = -1; before !== moves && !over; ) {
      before = moves
      await delay(STILL_MS)
    }
  }

  return { ended, deadLetters, progress, still }
}

function unitOf(job: TestJob, rows: readonly TestRow[], file: Uint8Array): Unit {
  const unit = testUnit(job, 0)
  return {
    ...unit,
    chunks: [{ chunk: 0, file: { name: '0.arrow', bytes: file.length, rows: rows.length } }],
    spanRows: SPAN_ROWS,
    limits: { ...unit.limits, maxUnsettledBytes: WINDOW_BYTES, maxDeadLetters: rows.length, checkpointMs: 100 },
  }
}

/** The rows as they would be staged. */
function arrowFile(rows: readonly TestRow[]): Uint8Array {
  const text = (name: string) =>
    vectorFromArray(
      rows.map(({ columns }) => columns[name]!),
      new Utf8(),
    )
  const ids = vectorFromArray(
    rows.map(({ id }) => BigInt(id)),
    new Int64(),
  )
  return tableToIPC(new Table({ id: ids, key: text('key'), text: text('text') }), 'file')
}

/** The session with smaller batches and another `write`. */
function withWrite(session: SinkSession, write: SinkSession['write']): SinkSession {
  const { encoding, asks, limits, retries, stableBatches, commit } = session
  return {
    ...(encoding ? { encoding } : {}),
    ...(asks ? { asks } : {}),
    limits: { ...limits, batchRows: Math.min(BATCH_ROWS, limits?.batchRows ?? BATCH_ROWS) },
    ...(retries ? { retries } : {}),
    ...(stableBatches === undefined ? {} : { stableBatches }),
    begin: async unit => session.begin?.(unit),
    write,
    ...(commit ? { commit: commit.bind(session) } : {}),
    abort: async unit => session.abort?.(unit),
    close: () => session.close(),
  }
}

function sizeOf({ json }: TestRow): number {
  return Buffer.byteLength(json)
}

async function* noValueSet(ref: string): AsyncGenerator<readonly string[]> {
  yield Promise.reject(new Error(`the tests have no value set ${ref}`))
}
