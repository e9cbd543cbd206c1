import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ReadPlan, UnitReader } from '../../src/columnar/read-plan.ts'
import { openRows } from '../../src/columnar/reframe.ts'
import { MemoryBudget } from '../../src/core/budget.ts'
import { FormatError, MillraceError } from '../../src/core/errors.ts'
import { type Delivery, inProcessRunner } from '../../src/core/runner.ts'
import type { Checkpoint, ReportAnswer, Unit, UnitReport } from '../../src/core/unit.ts'
import type { SinkSession } from '../../src/sinks/sink.ts'
import { fakeUnit, payloadsOf } from './fake-batch.ts'
import { ungated } from './fake-session.ts'
import { type ReaderBehaviour, SimulatedTable } from './simulated-table.ts'
import { SimulatedTime, seeded } from './simulated-time.ts'

let time: SimulatedTime

beforeEach(() => {
  time = new SimulatedTime(seeded(1))
})

afterEach(() => time.restore())

interface Options {
  readonly units?: number
  readonly unitsInFlight?: number
  /** How the reading of a unit goes, by how often it was read before. */
  readonly reader?: (unit: number, before: number) => ReaderBehaviour
  readonly answer?: (report: UnitReport) => ReportAnswer
  readonly start?: (unit: number) => void
  readonly write?: SinkSession['write']
}

/** Units of one chunk of 100 rows each, and a store of their checkpoints. */
function deliveryOf({ units = 4, unitsInFlight = 2, ...options }: Options) {
  const table = new SimulatedTable({ chunks: Array.from({ length: units }, () => 100), spanRows: 10 }, seeded(1))
  const stored = new Map<number, Checkpoint>()
  const started: { readonly unit: number; readonly fromRow: number }[] = []
  const received: string[] = []
  const reads = new Map<number, number>()
  let running = 0
  let mostRunning = 0

  const session: SinkSession = {
    limits: { batchRows: 10, inFlight: 1 },
    async begin() {
      mostRunning = Math.max(mostRunning, ++running)
      return undefined
    },
    async write(batch, signal) {
      await options.write?.(batch, signal)
      await time.pause(5, signal)
      received.push(...payloadsOf(batch))
    },
    async close() {},
  }

  function read(plan: ReadPlan): UnitReader {
    const unit = plan.chunks[0]?.chunk ?? -1
    const before = reads.get(unit) ?? 0
    reads.set(unit, before + 1)
    const reader = table.read(plan, time, options.reader?.(unit, before))
    const close = reader.close.bind(reader)
    reader.close = async () => {
      if (!reader.closed) running--
      await close()
    }
    return reader
  }

  async function report(report: UnitReport): Promise<ReportAnswer> {
    for (const mark of report.checkpoints) stored.set(mark.chunk, mark)
    return options.answer?.(report) ?? { deadLettersRefused: 0 }
  }

  const delivery: Delivery = {
    units,
    unitsInFlight,
    async start(unit): Promise<Unit> {
      options.start?.(unit)
      const from = stored.get(unit)
      started.push({ unit, fromRow: from?.row ?? 0 })
      return fakeUnit({
        id: `job/uid/0/${unit}`,
        attempt: started.filter(each => each.unit === unit).length,
        chunks: [{ chunk: unit, file: { name: `${unit}.parquet`, bytes: 1 } }],
        from: from ? [from] : [],
        spanRows: 10,
        limits: { checkpointMs: 20, maxUnsettledRows: 30 },
      })
    },
    tools: { session, read, openRows, report, credit: new MemoryBudget(1 << 30).share().credit, gate: ungated },
  }
  return {
    started,
    stored,
    received,
    run: (signal = new AbortController().signal) => time.run(inProcessRunner().run(delivery, signal), 10_000),
    get mostRunning() {
      return mostRunning
    },
    missing: () => [...table.selected.keys()].filter(row => !received.includes(row)),
  }
}

const laneLost = (): MillraceError => new MillraceError('lane_lost', 'a lane stopped')

test('runs every unit, in order, with as many at a time as allowed', async () => {
  const tested = deliveryOf({ units: 7, unitsInFlight: 3 })
  expect(await tested.run()).toBe('done')
  expect(tested.started.map(({ unit }) => unit)).toEqual([0, 1, 2, 3, 4, 5, 6])
  expect([tested.mostRunning, tested.missing()]).toEqual([3, []])
})

test('is done at once where there are no units', async () => {
  expect(await deliveryOf({ units: 0 }).run()).toBe('done')
})

test('starts a unit again from its stored checkpoints when its lane is lost, three times at most', async () => {
  const reader = (unit: number, before: number): ReaderBehaviour =>
    unit === 1 && before < 3 ? { failsAt: { call: 4, error: laneLost() } } : {}
  const tested = deliveryOf({ units: 2, reader })
  expect(await tested.run()).toBe('done')
  const rows = tested.started.filter(({ unit }) => unit === 1).map(({ fromRow }) => fromRow)
  expect(rows).toHaveLength(4)
  expect(rows).toEqual(rows.toSorted((a, b) => a - b))
  expect(rows[1]).toBeGreaterThan(0)
  expect(new Set(rows).size).toBe(4)
  expect(tested.missing()).toEqual([])
})

test('counts restarts anew once a checkpoint has moved', async () => {
  // each attempt delivers a few spans before its lane is lost
  const tested = deliveryOf({
    units: 1,
    reader: (_, before) => (before < 7 ? { failsAt: { call: 3, error: laneLost() } } : {}),
  })
  expect(await tested.run()).toBe('done')
  expect(tested.started.length).toBeGreaterThan(5)
  expect(tested.missing()).toEqual([])
})

test('fails when a lane is lost a fourth time in the same place', async () => {
  const error = laneLost()
  const tested = deliveryOf({ units: 1, reader: () => ({ failsAt: { call: 0, error } }) })
  await expect(tested.run()).rejects.toBe(error)
  expect(tested.started).toHaveLength(4)
})

test('ends the other units with the first error, starts no more, and none again', async () => {
  const error = new FormatError('file_corrupt', '1.parquet: damaged')
  const tested = deliveryOf({ units: 6, reader: unit => (unit === 1 ? { failsAt: { call: 2, error } } : {}) })
  await expect(tested.run()).rejects.toBe(error)
  expect(tested.started.map(({ unit }) => unit)).toEqual([0, 1])
  expect([time.timers, tested.stored.get(0)?.done ?? false]).toEqual([0, false])
})

test('fails where a unit cannot be started', async () => {
  const error = new MillraceError('lease_lost', 'another process took the job over')
  const start = (unit: number): void => {
    if (unit === 2) throw error
  }
  const tested = deliveryOf({ units: 6, start })
  await expect(tested.run()).rejects.toBe(error)
  expect(tested.started).toHaveLength(2)
})

test('stops where a report is answered so, and starts no more units', async () => {
  let reports = 0
  const answer = (): ReportAnswer => ({ deadLettersRefused: 0, ...(++reports > 3 ? { stop: 'drain' as const } : {}) })
  const tested = deliveryOf({ units: 6, answer })
  expect(await tested.run()).toBe('stopped')
  expect(tested.started.map(({ unit }) => unit)).toEqual([0, 1])
  expect(time.timers).toBe(0)
})

test('is ended by its signal, with its reason, and lets what is under way end before', async () => {
  const reason = new Error('the process leaves')
  const aborts = new AbortController()
  const tested = deliveryOf({ units: 6 })
  void time.pause(12).then(() => aborts.abort(reason))
  await expect(tested.run(aborts.signal)).rejects.toBe(reason)
  expect(tested.started).toHaveLength(2)
  expect(time.timers).toBe(0)
})

test('starts nothing where its signal is aborted already', async () => {
  const reason = new Error('the process leaves')
  const tested = deliveryOf({ units: 6 })
  await expect(tested.run(AbortSignal.abort(reason))).rejects.toBe(reason)
  expect(tested.started).toEqual([])
})
