import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Problem } from '../../src/core/errors.ts'
import { Pacer, Paces, readPace } from '../../src/core/pace.ts'
import type { Pace } from '../../src/stores/store.ts'
import { SimulatedTime, seeded } from './simulated-time.ts'

let time: SimulatedTime

beforeEach(() => {
  time = new SimulatedTime(seeded(1))
})

afterEach(() => {
  const { timers } = time
  time.restore()
  expect(timers).toBe(0)
})

interface Sent {
  readonly unit: string
  readonly rows: number
  readonly atMs: number
}

/** A unit that sends its batches as soon as it may, one write queue's way. */
function unit(pacer: Pacer, name: string, batches: (readonly [rows: number, bytes: number])[], log: Sent[]) {
  let woken = 0
  const send = (): void => {
    while (batches.length > 0) {
      const [rows, bytes] = batches[0]!
      if (!gate.take(rows, bytes)) return
      batches.shift()
      log.push({ unit: name, rows, atMs: time.now })
    }
  }
  const gate = pacer.gate(() => {
    woken++
    send()
  })
  return {
    gate,
    send,
    get woken() {
      return woken
    },
  }
}

/** When each of `batches` is sent. */
async function timesOf(pace: Pace, batches: (readonly [rows: number, bytes: number])[]): Promise<number[]> {
  const log: Sent[] = []
  unit(new Pacer(pace), 'a', [...batches], log).send()
  while (log.length < batches.length) await time.run(time.pause(1), 10)
  return log.map(({ atMs }) => atMs)
}

const rows = (...counts: readonly number[]): [number, number][] => counts.map(count => [count, 1])

describe('a pace', () => {
  test('lets a second of it through at once, and the rest as time goes', async () => {
    expect(await timesOf({ rowsPerSecond: 100 }, rows(50, 50, 50, 10, 40))).toEqual([0, 0, 500, 600, 1_000])
  })

  test('lets a batch through that is more than a second of it when a whole second is saved, and waits for the rest after that', async () => {
    expect(await timesOf({ rowsPerSecond: 1_000 }, rows(3_500, 1, 1_000, 2_500, 1))).toEqual([
      0, 2_501, 3_501, 4_501, 6_002,
    ])
  })

  test('counts rows and bytes, and waits for the slower', async () => {
    const batches: [number, number][] = [
      [100, 1_000],
      [50, 10],
      [1, 1_000],
    ]
    expect(await timesOf({ rowsPerSecond: 100, bytesPerSecond: 1_000 }, batches)).toEqual([0, 500, 1_010])
    expect(await timesOf({ bytesPerSecond: 1_000 }, batches)).toEqual([0, 10, 1_010].map(at => 1_010 + at))
  })

  test('that is none holds nothing up', async () => {
    expect(await timesOf({}, rows(1e9, 1e9, 1e9))).toEqual([0, 0, 0])
  })

  test('saves no more than a second while nothing is sent', async () => {
    const log: Sent[] = []
    const pacer = new Pacer({ rowsPerSecond: 100 })
    await time.run(time.pause(60_000), 10)
    unit(pacer, 'a', rows(100, 100), log).send()
    await time.run(time.pause(5_000), 10)
    expect(log.map(({ atMs }) => atMs)).toEqual([60_000, 61_000])
  })
})

test('units that share a pace take turns, and each is woken only for its own', async () => {
  const log: Sent[] = []
  const pacer = new Pacer({ rowsPerSecond: 10 })
  const units = ['a', 'b', 'c'].map(name => unit(pacer, name, rows(10, 10, 10), log))
  for (const { send } of units) send()
  await time.run(time.pause(9_000), 100)
  expect(log.map(({ unit: name, atMs }) => `${name}${atMs / 1_000}`)).toEqual([
    'a0',
    'a1',
    'b2',
    'c3',
    'a4',
    'b5',
    'c6',
    'b7',
    'c8',
  ])
  expect(units.map(({ woken }) => woken)).toEqual([2, 3, 3])
})

test('never is more sent than the pace and a second of it allow, nor is anything held back longer than it has to be', async () => {
  const batch = fc.integer({ min: 1, max: 300 })
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 20, max: 2_000 }),
      fc.array(fc.array(batch, { minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 4 }),
      async (rowsPerSecond, units) => {
        const start = time.now
        const log: Sent[] = []
        const pacer = new Pacer({ rowsPerSecond })
        for (const [index, batches] of units.entries()) unit(pacer, `${index}`, rows(...batches), log).send()
        const total = units.flat().length
        while (log.length < total) await time.run(time.pause(100), 1_000)
        let sent = 0
        for (const { atMs, rows: size } of log) {
          const allowed = rowsPerSecond * (1 + (atMs - start) / 1_000)
          // what is larger than a second's worth goes into debt, but only from a full bucket
          expect(sent + Math.min(size, rowsPerSecond)).toBeLessThanOrEqual(allowed + 1e-6)
          sent += size
        }
        const last = log.at(-1)!
        const needed = ((sent - last.rows + Math.min(last.rows, rowsPerSecond)) / rowsPerSecond - 1) * 1_000
        // a timer's millisecond for each that waited
        expect(last.atMs - start).toBeLessThanOrEqual(Math.max(0, needed) + 2 * total)
      },
    ),
    { numRuns: 60 },
  )
})

describe('a changed pace', () => {
  test('holds at once for what waits', async () => {
    const log: Sent[] = []
    const pacer = new Pacer({ rowsPerSecond: 1 })
    unit(pacer, 'a', rows(1, 1_000, 1_000, 1), log).send()
    await time.run(time.pause(1_500), 10)
    pacer.set({ rowsPerSecond: 1_000 })
    await time.run(time.pause(3_000), 10)
    expect(log.map(({ atMs }) => atMs)).toEqual([0, 1_000, 3_499, 3_500])
  })

  test('to none lets all go that waits', async () => {
    const log: Sent[] = []
    const pacer = new Pacer({ bytesPerSecond: 1 })
    unit(pacer, 'a', rows(1, 1, 1, 1), log).send()
    pacer.set({})
    expect(log).toHaveLength(4)
  })

  test('back and forth gains nothing', async () => {
    const log: Sent[] = []
    const pacer = new Pacer({ rowsPerSecond: 10 })
    unit(pacer, 'a', rows(10, 10), log).send()
    for (let times = 0; times < 100; times++) pacer.set({ rowsPerSecond: times % 2 === 0 ? 20 : 10 })
    expect(log).toHaveLength(1)
    await time.run(time.pause(1_000), 10)
    expect(log.map(({ atMs }) => atMs)).toEqual([0, 1_000])
  })
})

describe('a unit that ends', () => {
  test('leaves the line to the others', async () => {
    const log: Sent[] = []
    const pacer = new Pacer({ rowsPerSecond: 10 })
    const [first, second] = ['a', 'b'].map(name => unit(pacer, name, rows(10, 10), log))
    first!.send()
    second!.send()
    first!.gate.close()
    first!.gate.close()
    await time.run(time.pause(2_500), 10)
    expect(log.map(({ unit: name, atMs }) => [name, atMs])).toEqual([
      ['a', 0],
      ['b', 1_000],
      ['b', 2_000],
    ])
  })

  test('in a hurry sends what it has, which the others then have to wait for', async () => {
    const log: Sent[] = []
    const pacer = new Pacer({ rowsPerSecond: 10 })
    const [first, second] = ['a', 'b'].map(name => unit(pacer, name, rows(10, 10, 10), log))
    first!.send()
    second!.send()
    first!.gate.hurry()
    await time.run(time.pause(6_000), 10)
    expect(log.map(({ unit: name, atMs }) => [name, atMs])).toEqual([
      ['a', 0],
      ['a', 0],
      ['a', 0],
      ['b', 3_000],
      ['b', 4_000],
      ['b', 5_000],
    ])
  })

  test('or has nothing to send any more when it is woken, loses its turn to the next', async () => {
    const log: Sent[] = []
    const pacer = new Pacer({ rowsPerSecond: 10 })
    const batches = rows(10, 10)
    unit(pacer, 'a', batches, log).send()
    unit(pacer, 'b', rows(10), log).send()
    batches.length = 0
    await time.run(time.pause(2_000), 10)
    expect(log.map(({ unit: name, atMs }) => [name, atMs])).toEqual([
      ['a', 0],
      ['b', 1_000],
    ])
  })
})

test('the paces of a job are what is wished, or else what is registered, and a pause forgives no debts', async () => {
  const log: Sent[] = []
  const paces = new Paces()
  const pacer = paces.of('uid', { rowsPerSecond: 10 })
  unit(pacer, 'a', rows(10, 20), log).send()
  paces.heed({ uid: { rowsPerSecond: 20 }, other: { rowsPerSecond: 1 } })
  await time.run(time.pause(1_000), 10)
  expect(log.map(({ atMs }) => atMs)).toEqual([0, 1_000])
  paces.heed({ uid: null })
  expect(paces.of('uid', { rowsPerSecond: 10 })).toBe(pacer)
  unit(pacer, 'a', rows(10, 10), log).send()
  await time.run(time.pause(5_000), 10)
  expect(log.map(({ atMs }) => atMs)).toEqual([0, 1_000, 2_000, 3_000])

  paces.heed({ late: { rowsPerSecond: 5 } })
  unit(paces.of('late', {}), 'late', rows(5, 5), log).send()
  await time.run(time.pause(5_000), 10)
  expect(log.slice(4).map(({ atMs }) => atMs)).toEqual([6_000, 7_000])
})

test('a pace is whole numbers above 0, of which each may be missing', () => {
  const read = (pace: unknown) => {
    const problems: Problem[] = []
    return [readPace(pace as Pace, 'pace', problems), problems.map(({ path }) => path)]
  }
  expect(read({})).toEqual([{}, []])
  expect(read({ rowsPerSecond: 5, other: 1 })).toEqual([{ rowsPerSecond: 5 }, []])
  for (const wrong of [0, -1, 1.5, Number.POSITIVE_INFINITY, Number.NaN, '5'])
    expect(read({ rowsPerSecond: 1, bytesPerSecond: wrong })[1]).toEqual(['pace.bytesPerSecond'])
})
