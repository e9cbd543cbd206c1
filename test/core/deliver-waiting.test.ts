import { describe, expect, test } from 'vitest'
import type { World } from './simulated-delivery.ts'
import { chunks, keyed, SEEDS, small, useSimulations } from './simulated-worlds.ts'

const simulate = useSimulations()

describe('at a limited pace', () => {
  const paced: World = { chunks: [2_000], spanRows: 50, destination: { limits: { batchRows: 50 } } }

  test('sends no more than that, reads only a little ahead, and catches up by a second at most', async () => {
    const delivery = simulate(1, { ...paced, pace: { rowsPerSecond: 100 }, limits: { maxUnsettledRows: 2_000 } })
    const work = delivery.start()
    let furthest = 0
    await delivery.time.run(work, 50_000, () => {
      furthest = Math.max(furthest, delivery.rowsRead - delivery.destination.received.size)
      return false
    })
    const { sent } = delivery.destination
    expect(sent[1]!.atMs).toBeLessThan(20)
    for (const [index, { atMs }] of sent.entries()) expect((index + 1) * 50).toBeLessThanOrEqual(100 + atMs / 10)
    expect(sent.at(-1)!.atMs).toBeLessThan(19_200)
    // one batch that waits, and those that are being written
    expect(furthest).toBeLessThanOrEqual(250)
    delivery.checkEnd()
    expect(delivery.faults).toEqual([])
  })

  test('a stop does not wait for it', async () => {
    const delivery = simulate(1, { ...paced, pace: { rowsPerSecond: 1 } })
    delivery.answers = { report: 3, stop: 'drain' }
    expect(await delivery.time.run(delivery.start(), 50_000)).toBe('stopped')
    expect([delivery.time.now < 1_000, delivery.time.timers]).toEqual([true, 0])
    expect(delivery.checkpoints.get(0)?.row).toBe(50)
  })

  test('nor does a stop of what has to be committed, which sends what was read', async () => {
    const delivery = simulate(1, {
      ...paced,
      pace: { rowsPerSecond: 1 },
      destination: { commits: 'plain', limits: { batchRows: 50 } },
    })
    delivery.answers = { report: 3, stop: 'drain' }
    expect(await delivery.time.run(delivery.start(), 50_000)).toBe('stopped')
    expect([delivery.time.now < 1_000, delivery.time.timers, delivery.destination.commits]).toEqual([true, 0, 1])
    expect(delivery.checkpoints.get(0)?.row).toBe(delivery.rowsRead)
    expect(delivery.faults).toEqual([])
  })

  test('an abort does not wait for it either', async () => {
    const delivery = simulate(1, { ...paced, pace: { rowsPerSecond: 1 } })
    const reason = new Error('the process leaves')
    void delivery.time.pause(500).then(() => delivery.signal.abort(reason))
    await expect(delivery.time.run(delivery.start(), 50_000)).rejects.toBe(reason)
    expect([delivery.time.now < 600, delivery.time.timers]).toEqual([true, 0])
  })
})

describe('a destination that is down for three seconds, with eight writes in flight', () => {
  const limits = { batchRows: 20, inFlight: 8 }

  test.each<[string, World]>([
    ['in any order', { chunks: [2_000], spanRows: 50, destination: { downUntilMs: 3_000, limits } }],
    ['in order of keys', { ...keyed, order: 'key', destination: { downUntilMs: 3_000, limits } }],
    ['in total order', { chunks: [2_000], spanRows: 50, order: 'total', destination: { downUntilMs: 3_000, limits } }],
  ])('is tried a few times, and gets every row once it is back, %s', async (_, world) => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const delivery = simulate(seed, world)
      await delivery.live(0)
      const early = delivery.destination.sent.filter(({ atMs }) => atMs < 2_900)
      expect(early.length, `seed ${seed}`).toBeLessThanOrEqual(16)
      expect(delivery.circuit).toEqual(['opened', 'closed'])
      expect(delivery.time.now).toBeLessThan(15_000)
      expect([delivery.faults, delivery.destination.repeats], `seed ${seed}`).toEqual([[], 0])
    }
  })

  test('does not keep a stop waiting', async () => {
    const delivery = simulate(1, { ...keyed, destination: { downUntilMs: 1e9, limits } })
    delivery.answers = { report: 50, stop: 'drain' }
    expect(await delivery.time.run(delivery.start(), 50_000)).toBe('stopped')
    expect(delivery.time.now - delivery.stoppedAt).toBeLessThan(100)
    expect([delivery.time.timers, delivery.checkpoints.size, delivery.faults]).toEqual([0, 0, []])
  })
})

test('a batch that keeps failing fails its destination when its attempts are used up', async () => {
  const destination = { downUntilMs: 1e9, limits: { inFlight: 1 } }
  const limits = { maxAttempts: 3 }
  const delivery = simulate(1, { chunks: [400], spanRows: 50, limits, destination })
  await expect(delivery.time.run(delivery.start(), 20_000)).rejects.toMatchObject({
    code: 'destination_unavailable',
    message: 'a batch was not delivered in 3 attempts (maxAttempts): connection refused',
  })
  expect([delivery.destination.writes, delivery.time.timers]).toEqual([3, 0])
})

describe('asked to stop, at any instant', () => {
  const worlds: readonly (readonly [string, World])[] = [
    ['without commits', { ...keyed, destination: { limits: small } }],
    ['with commits', { ...keyed, destination: { commits: 'plain', limits: { ...small, commitRows: 150 } } }],
  ]

  test.each(worlds)('to drain, it settles what is in flight and goes on later, %s', async (_, world) => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const delivery = simulate(seed, world)
      delivery.answers = { report: Math.floor(delivery.random() * 12), stop: 'drain' }
      const result = await delivery.time.run(delivery.start(), 20_000)
      const heard = Number.isFinite(delivery.stoppedAt)
      expect(result, `seed ${seed}`).toBe(heard ? 'stopped' : 'done')
      const { destination, time, stoppedAt } = delivery
      expect([destination.pending.length, destination.writing, destination.aborts, time.timers]).toEqual([0, 0, 0, 0])
      if (!destination.commits) expect(destination.wroteAt).toBeLessThanOrEqual(stoppedAt)
      expect(delivery.readerClosed).toBe(true)
      delivery.answers = undefined
      await delivery.live(0)
      expect(delivery.faults, `seed ${seed}`).toEqual([])
    }
  })

  test('to drain while the destination hangs, it waits, and does not look after rows that are not to be sent any more', async () => {
    const destination = { hangs: { untilMs: 30_000 }, limits: { batchRows: 40, inFlight: 1, lingerMs: 1_000 } }
    const delivery = simulate(1, { chunks: [400], spanRows: 50, destination })
    delivery.answers = { report: 2, stop: 'drain' }
    expect(await delivery.time.run(delivery.start(), 50_000)).toBe('stopped')
    expect(delivery.time.now).toBeGreaterThanOrEqual(30_000)
    expect(delivery.time.steps).toBeLessThan(8 * delivery.reports.length)
  })

  test.each(worlds)('to cancel, it settles what is in flight and commits nothing more, %s', async (_, world) => {
    let aborts = 0
    for (let seed = 1; seed <= SEEDS; seed++) {
      const delivery = simulate(seed, world)
      delivery.answers = { report: Math.floor(delivery.random() * 12), stop: 'cancel' }
      const result = await delivery.time.run(delivery.start(), 20_000)
      const { destination, stoppedAt, time } = delivery
      expect(result, `seed ${seed}`).toBe(Number.isFinite(stoppedAt) ? 'stopped' : 'done')
      expect(Math.max(destination.committedAt, destination.wroteAt)).toBeLessThanOrEqual(stoppedAt)
      expect([destination.pending.length, destination.writing, time.timers]).toEqual([0, 0, 0])
      const whole = [...delivery.checkpoints.values()].filter(mark => mark.done).length === chunks.length
      if (!whole) expect(destination.aborts, `seed ${seed}`).toBe(1)
      aborts += destination.aborts
      delivery.answers = undefined
      await delivery.live(0)
      expect(delivery.faults, `seed ${seed}`).toEqual([])
    }
    expect(aborts).toBeGreaterThan(0)
  })
})
