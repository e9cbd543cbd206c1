import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { MemoryBudget } from '../../src/core/budget.ts'
import { ABORT_GRACE_MS } from '../../src/core/ending.ts'
import { FormatError, StoreError } from '../../src/core/errors.ts'
import { SimulatedDelivery, type World } from './simulated-delivery.ts'
import type { DestinationOptions } from './simulated-destination.ts'
import { chunks, keyed, SEEDS, small, useSimulations, WORLDS } from './simulated-worlds.ts'

const simulate = useSimulations()

describe('after crashes at random instants no row is lost, few come twice, and every tally is right', () => {
  test.each(WORLDS)('%s', async (_, world) => {
    let crashed = 0
    for (let seed = 1; seed <= SEEDS; seed++) {
      const delivery = simulate(seed, world)
      await delivery.live(4)
      expect(delivery.faults, `seed ${seed}`).toEqual([])
      crashed += delivery.attempts - 1
    }
    expect(crashed).toBeGreaterThan(0)
  })
})

describe('while one partition hangs, the others go on as far as the window goes', () => {
  test.each([12, 500])('of %i partitions', async partitions => {
    const hangs = { partition: 0, untilMs: 60_000 }
    const limits = { batchRows: 30, inFlight: 8, inFlightPerPartition: 1 }
    const world = { chunks: [2_000, 2_000], spanRows: 50, partitions, destination: { hangs, limits } }
    const delivery = simulate(1, { ...world, limits: { maxUnsettledRows: 1_000 } })
    const work = delivery.start()

    await delivery.time.run(work, 50_000, () => delivery.time.now > 50_000)
    const others = [...delivery.table.selected.values()].filter(row => row.partition !== 0)
    const received = others.filter(row => delivery.destination.received.has(row))
    expect(delivery.rowsRead).toBe(1_000)
    expect(received).toHaveLength(others.filter(row => row.chunk === 0 && row.row < 1_000).length)
    expect(delivery.reports.length).toBeGreaterThan(450)

    expect(await delivery.time.run(work, 50_000)).toBe('done')
    delivery.checkEnd()
    expect(delivery.faults).toEqual([])
  })
})

test('while one partition hangs, it takes no more memory than there is, and the others have the rest', async () => {
  const hangs = { partition: 0, untilMs: 60_000 }
  const limits = { batchRows: 30, inFlight: 8, inFlightPerPartition: 1 }
  const world = { chunks: [4_000], spanRows: 50, partitions: 12, memoryBytes: 10_000, destination: { hangs, limits } }
  const delivery = simulate(1, { ...world, limits: { maxUnsettledRows: 4_000 } })
  const work = delivery.start()
  let most = 0
  await delivery.time.run(work, 50_000, () => {
    // what the first span comes to is not known before it is read
    if (delivery.rowsRead > 50) most = Math.max(most, delivery.memory.held)
    return delivery.time.now > 50_000
  })
  const others = [...delivery.table.selected.values()].filter(row => row.partition !== 0 && row.row < delivery.rowsRead)
  expect(delivery.rowsRead).toBeGreaterThan(400)
  expect(delivery.rowsRead).toBeLessThan(1_000)
  expect(others.filter(row => !delivery.destination.received.has(row))).toEqual([])
  expect(most).toBeLessThanOrEqual(10_000)
  expect(await delivery.time.run(work, 50_000)).toBe('done')
  delivery.checkEnd()
  expect(delivery.faults).toEqual([])
})

test('sends a batch that is not full after lingerMs, also where other partitions keep filling', async () => {
  const limits = { batchRows: 40, inFlight: 16, lingerMs: 50 }
  const delivery = simulate(1, {
    chunks: [3_000],
    spanRows: 20,
    partitions: 12,
    destination: { limits, writeMs: 1 },
    limits: { maxUnsettledRows: 2_000 },
  })
  delivery.reader = { readMs: 10 }
  await delivery.live(0)
  expect(delivery.faults).toEqual([])
  expect(delivery.destination.longestWaitMs).toBeGreaterThan(30)
  expect(delivery.destination.longestWaitMs).toBeLessThan(50 + 2 * 10)
})

test('never cuts stable batches by time', async () => {
  const world = { chunks: [600], spanRows: 20, destination: { stable: true, limits: { batchRows: 100, lingerMs: 1 } } }
  const delivery = simulate(1, { ...world, limits: { maxUnsettledRows: 500 } })
  await delivery.live(0)
  expect(delivery.faults).toEqual([])
  expect(delivery.destination.names.size).toBe(6)
})

test.each<DestinationOptions>([{}, { commits: 'plain', limits: { commitRows: 100 } }])(
  'reports every proof of the destination once: %o',
  async destination => {
    const delivery = simulate(1, { ...keyed, destination })
    await delivery.live(0)
    expect(delivery.destination.proofs.length).toBeGreaterThan(10)
    expect(delivery.proof.map(({ first }) => first).toSorted()).toEqual(delivery.destination.proofs.toSorted())
  },
)

test('reports beside the writing, and not only every checkpointMs, when the window is half full', async () => {
  const limits = { checkpointMs: 1e6, maxUnsettledRows: 400 }
  const delivery = simulate(1, { chunks: [4_000], spanRows: 50, limits, destination: { limits: { batchRows: 50 } } })
  await delivery.live(0)
  expect(delivery.faults).toEqual([])
  expect(delivery.reportsBeside).toBeGreaterThan(10)
})

test('tells the diagnostics channel how each attempt begins and ends, and what goes wrong in closing it', async () => {
  const messages: unknown[] = []
  const listen = (message: unknown): void => void messages.push(message)
  for (const name of ['unit', 'warning']) subscribe(`millrace:${name}`, listen)
  const delivery = simulate(1, { ...keyed, destination: { limits: small, failsToAbort: true } })
  const error = new FormatError('file_corrupt', '0.parquet: damaged')
  delivery.reader = { failsAt: { call: 3, error } }
  await expect(delivery.time.run(delivery.start(), 20_000)).rejects.toBe(error)
  delivery.reader = {}
  await delivery.live(0)
  for (const name of ['unit', 'warning']) unsubscribe(`millrace:${name}`, listen)
  const unit = 'job/uid/0/0'
  expect(messages).toEqual([
    { unit, attempt: 1, event: 'started' },
    { message: `unit ${unit} did not end cleanly`, error: new Error('not aborted') },
    { unit, attempt: 1, event: 'failed', error },
    { unit, attempt: 2, event: 'started' },
    { unit, attempt: 2, event: 'done' },
  ])
})

describe('the memory of a batch goes back to its reader', () => {
  const world: World = { chunks: [400], spanRows: 50, destination: { limits: { batchRows: 50 } } }

  test('when its write has resolved', async () => {
    const delivery = simulate(1, world)
    await delivery.live(0)
    expect([delivery.released, delivery.destination.writes, delivery.faults]).toEqual([8, 8, []])
  })

  test('never when a write of it failed, in whole or in part, whatever became of it later', async () => {
    let kept = 0
    for (let seed = 1; seed <= SEEDS; seed++) {
      const destination = { limits: { batchRows: 50 }, trouble: 0.3, partialTrouble: 0.3 }
      const delivery = simulate(seed, { ...world, destination })
      await delivery.live(0)
      expect(delivery.faults, `seed ${seed}`).toEqual([])
      kept += 8 - delivery.released
    }
    expect(kept).toBeGreaterThan(10)
  })

  test('never when rows of it became dead letters', async () => {
    const delivery = simulate(1, { ...world, poison: 0.02, limits: { maxDeadLetters: 50 } })
    await delivery.live(0)
    expect([delivery.deadLetters.size > 0, delivery.faults]).toEqual([true, []])
    expect(delivery.released).toBeLessThan(8)
  })

  test('never when it was aborted or came too late', async () => {
    const hangs = { untilMs: 1e9, heedsSignal: false }
    const delivery = simulate(1, { ...world, destination: { hangs }, limits: { deliveryDeadlineMs: 3_000 } })
    await expect(delivery.time.run(delivery.start(), 20_000)).rejects.toMatchObject({ code: 'destination_unavailable' })
    expect([delivery.destination.writes > 0, delivery.released]).toEqual([true, 0])
  })
})

describe('under one budget of memory', () => {
  test('a destination that hangs keeps its share, and the others go on at their own pace', async () => {
    const limits = { batchRows: 30, inFlight: 100 }
    const world = { chunks: [4_000], spanRows: 50, limits: { maxUnsettledRows: 4_000 } }
    const memory = new MemoryBudget(40_000)
    const healthy = simulate(1, { ...world, destination: { limits: small } })
    const others = [2, 3, 4].map(seed => {
      const hangs = { untilMs: 1e9 }
      return new SimulatedDelivery(seed, { ...world, destination: { limits, hangs } }, healthy.time)
    })
    const shares = others.map(() => memory.share())
    others.forEach((delivery, index) => void delivery.start(undefined, shares[index]))
    await healthy.time.run(healthy.start(undefined, memory.share()), 50_000)
    for (const { rowsRead } of others) expect(rowsRead).toBeGreaterThan(200)
    for (const { rowsRead } of others) expect(rowsRead).toBeLessThan(300)
    expect(memory.held).toBeGreaterThan(25_000)
    expect(memory.held).toBeLessThanOrEqual(30_000)
    expect([healthy.checkpoints.get(0)?.done, healthy.faults]).toEqual([true, []])
    const withOthers = healthy.time.now

    const alone = simulate(1, { ...world, destination: { limits: small } })
    await alone.live(0)
    expect(withOthers).toBeLessThan(1.1 * alone.time.now)
  })
})

describe('fails with the first error, reports what had settled, and leaves nothing behind', () => {
  const world: World = { ...keyed, destination: { limits: small } }

  test('of a report', async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const delivery = simulate(seed, world)
      const error = new StoreError('disk full')
      delivery.answers = { report: Math.floor(delivery.random() * 4), error }
      await expect(delivery.time.run(delivery.start(), 20_000)).rejects.toBe(error)
      expect([delivery.time.timers, delivery.destination.aborts, delivery.readerClosed]).toEqual([0, 1, true])
      await delivery.live(0)
      expect(delivery.faults, `seed ${seed}`).toEqual([])
    }
  })

  test('of the reading', async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const delivery = simulate(seed, world)
      const error = new FormatError('file_corrupt', '0.parquet: damaged')
      delivery.reader = { failsAt: { call: Math.floor(delivery.random() * 18), error } }
      await expect(delivery.time.run(delivery.start(), 20_000)).rejects.toBe(error)
      expect([delivery.time.timers, delivery.destination.aborts, delivery.readerClosed]).toEqual([0, 1, true])
      delivery.reader = {}
      await delivery.live(0)
      expect(delivery.faults, `seed ${seed}`).toEqual([])
    }
  })

  test.each([50, 200])('of a reader that loses rows, with a window of %i rows', async maxUnsettledRows => {
    const delivery = simulate(1, { chunks: [100], spanRows: 50, selectivity: 0.5, limits: { maxUnsettledRows } })
    delivery.reader = { losesRows: true }
    const work = delivery.time.run(delivery.start(), 1_000)
    await expect(work).rejects.toThrow('unit job/uid/0/0: rows were read that came in no batch')
  })

  test('of the destination', async () => {
    const delivery = simulate(1, { ...world, limits: { deliveryDeadlineMs: 3_000 }, destination: { trouble: 1 } })
    await expect(delivery.time.run(delivery.start(), 20_000)).rejects.toMatchObject({ code: 'destination_unavailable' })
    expect([delivery.time.timers, delivery.destination.aborts]).toEqual([0, 1])
    expect(delivery.faults).toEqual([])
  })
})

describe('rows that are refused for good', () => {
  test('are buried unsent with the reason where no batch of them can be framed', async () => {
    const limits = { maxDeadLetters: 1_000 }
    const delivery = simulate(1, {
      chunks: [400],
      spanRows: 50,
      poison: 0.1,
      limits,
      destination: { limits: { batchRows: 1 } },
    })
    delivery.reader = { unframeable: rows => rows.some(row => row.poison) }
    await delivery.live(0)
    const poisoned = [...delivery.table.selected.values()].filter(row => row.poison)
    expect([...delivery.deadLetters.values()].map(({ row, cause }) => [row, cause])).toEqual(
      poisoned.map(({ row }) => [row, 'too large']),
    )
    expect(poisoned.length).toBeGreaterThan(10)
    expect(delivery.destination.writes).toBe(400 - poisoned.length)
    expect(delivery.checkpoints.get(0)).toMatchObject({ deadLettered: poisoned.length, done: true })
    expect(delivery.faults).toEqual([])
  })

  test('unsent ones fail the destination too, where no dead letters are allowed', async () => {
    const delivery = simulate(1, keyed)
    delivery.reader = { unframeable: () => true }
    await expect(delivery.time.run(delivery.start(), 20_000)).rejects.toThrow(
      'more than 0 rows were refused for good (maxDeadLetters): too large',
    )
    expect([delivery.destination.writes, delivery.checkpoints.size]).toEqual([0, 0])
  })

  test('fail the destination where no dead letters are allowed', async () => {
    const delivery = simulate(1, { ...keyed, poison: 0.01 })
    await expect(delivery.time.run(delivery.start(), 20_000)).rejects.toThrow(
      'more than 0 rows were refused for good (maxDeadLetters): refused',
    )
    expect([delivery.deadLetters.size, delivery.faults]).toEqual([0, []])
  })

  test('over the limit stay unsettled, so that a retry with a higher one starts before them', async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const limits = { maxDeadLetters: 5 }
      const delivery = simulate(seed, { ...keyed, poison: 0.05, limits, destination: { limits: small } })
      await expect(delivery.time.run(delivery.start(), 20_000)).rejects.toMatchObject({ retryable: false })
      expect(delivery.deadLetters.size).toBe(5)
      const covered = [...delivery.checkpoints.values()].reduce((sum, mark) => sum + mark.deadLettered, 0)
      expect(covered).toBeLessThanOrEqual(5)
      limits.maxDeadLetters = 1_000
      await delivery.live(0)
      expect(delivery.faults, `seed ${seed}`).toEqual([])
    }
  })
})

describe('aborted, it ends within the grace', () => {
  const reason = new Error('the process leaves')

  /** Answers how long it took to end. */
  async function abortAfter(ms: number, delivery: SimulatedDelivery): Promise<number> {
    const work = delivery.start()
    const { signal } = delivery.signal
    void delivery.time.pause(ms).then(() => delivery.signal.abort(reason))
    await expect(delivery.time.run(work, 20_000)).rejects.toBe(reason)
    expect(getEventListeners(signal, 'abort')).toEqual([])
    expect(delivery.faults).toEqual([])
    return delivery.time.now - ms
  }

  test('at any instant, and goes on from what was reported', async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const delivery = simulate(seed, { ...keyed, destination: { limits: small, trouble: 0.1 } })
      expect(await abortAfter(delivery.random() * 30, delivery)).toBeLessThan(100)
      expect([delivery.time.timers, delivery.destination.aborts]).toEqual([0, 1])
      await delivery.live(0)
      expect(delivery.faults, `seed ${seed}`).toEqual([])
    }
  })

  test('while reading hangs', async () => {
    const delivery = simulate(1, { ...keyed, destination: { limits: small } })
    delivery.reader = { hangsAt: { call: 5, heedsClose: true } }
    expect(await abortAfter(10_000, delivery)).toBeLessThan(100)
  })

  test('while reading hangs that cannot even be closed', async () => {
    const delivery = simulate(1, { ...keyed, destination: { limits: small } })
    delivery.reader = { hangsAt: { call: 5, heedsClose: false } }
    expect(await abortAfter(10_000, delivery)).toBeLessThan(ABORT_GRACE_MS + 100)
  })

  test('while writes hang', async () => {
    const delivery = simulate(1, { ...keyed, destination: { limits: small, hangs: { untilMs: 1e9 } } })
    expect(await abortAfter(10_000, delivery)).toBeLessThan(100)
  })

  test('while writes hang that ignore their signal, but gives them that long', async () => {
    const hangs = { untilMs: 1e9, heedsSignal: false }
    const delivery = simulate(1, { ...keyed, destination: { limits: small, hangs } })
    const tookMs = await abortAfter(10_000, delivery)
    expect(tookMs).toBeGreaterThanOrEqual(ABORT_GRACE_MS)
    expect(tookMs).toBeLessThan(ABORT_GRACE_MS + 20)
    expect(delivery.destination.aborts).toBe(1)
  })

  test('and counts what a write that ignores its signal still brings to an end', async () => {
    const hangs = { untilMs: 11_000, heedsSignal: false }
    const delivery = simulate(1, { chunks, spanRows: 50, destination: { limits: { batchRows: 50 }, hangs } })
    expect(await abortAfter(10_000, delivery)).toBeLessThan(1_100)
    expect(delivery.checkpoints.get(0)?.row).toBe(200)
    await delivery.live(0)
    expect([delivery.faults, delivery.destination.repeats]).toEqual([[], 0])
  })

  test('before it begins', async () => {
    const delivery = simulate(1, keyed)
    await expect(delivery.time.run(delivery.start(reason), 100)).rejects.toBe(reason)
    expect([delivery.time.timers, delivery.destination.aborts, delivery.rowsRead]).toEqual([0, 0, 0])
  })

  test.each([
    ['begin', 0],
    ['commit', 1],
  ] as const)('while %s hangs', async (neverEnds, aborts) => {
    const delivery = simulate(1, { ...keyed, destination: { commits: 'plain', limits: small, neverEnds } })
    const tookMs = await abortAfter(10_000, delivery)
    expect(tookMs).toBeGreaterThanOrEqual(ABORT_GRACE_MS)
    expect(tookMs).toBeLessThan(ABORT_GRACE_MS + 20)
    expect(delivery.destination.aborts).toBe(aborts)
  })
})

test.each([
  ['begin', 0],
  ['commit', 1],
] as const)(
  'fails the destination where %s does not end before the deadline of a delivery',
  async (neverEnds, aborts) => {
    const destination: DestinationOptions = { commits: 'plain', limits: small, neverEnds }
    const delivery = simulate(1, { ...keyed, limits: { deliveryDeadlineMs: 30_000 }, destination })
    await expect(delivery.time.run(delivery.start(), 20_000)).rejects.toMatchObject({
      code: 'destination_unavailable',
      message: `unit job/uid/0/0: ${neverEnds} did not end within 30 s`,
    })
    expect(delivery.time.now).toBeLessThan(33_000)
    // the one timer is the destination's own
    expect([delivery.time.timers, delivery.destination.aborts, delivery.faults]).toEqual([1, aborts, []])
  },
)
