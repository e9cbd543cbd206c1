import { describe, expect, test } from 'vitest'
import { WriteQueue } from '../../src/core/write-queue.ts'
import { seeded } from './simulated-time.ts'

interface Batch {
  readonly partition?: number
  readonly number: number
}

/** A queue whose writes end when the test says so. */
function queue(limits: { inFlight: number; inFlightPerPartition?: number }, admits?: (batch: Batch) => boolean) {
  const started: Batch[] = []
  const writing = new Map<Batch, () => void>()
  let settled = 0
  const writes = new WriteQueue<Batch>(
    { inFlightPerPartition: limits.inFlight, ...limits },
    batch => {
      started.push(batch)
      return new Promise(resolve => writing.set(batch, resolve))
    },
    () => settled++,
    admits,
  )
  return {
    writes,
    started,
    writing,
    get settled() {
      return settled
    },
    push: (partition: number | undefined, number: number) =>
      writes.push({ number, ...(partition === undefined ? {} : { partition }) }),
    async end(batch: Batch | undefined) {
      writing.get(batch!)!()
      writing.delete(batch!)
      await new Promise(resolve => setImmediate(resolve))
    },
  }
}

function labels(batches: Iterable<Batch>): string[] {
  return Array.from(batches, ({ partition, number }) => `${partition ?? '-'}:${number}`)
}

test('starts writes in order, up to the limit, and the next one when one has ended', async () => {
  const { writes, started, push, end, writing } = queue({ inFlight: 2 })
  for (const number of [1, 2, 3, 4]) push(undefined, number)
  expect(labels(started)).toEqual(['-:1', '-:2'])
  await end(started[1])
  expect(labels(started)).toEqual(['-:1', '-:2', '-:3'])
  expect([writes.inFlight, writes.idle, labels(writing.keys())]).toEqual([2, false, ['-:1', '-:3']])
})

test('says so after each write, and is idle after the last', async () => {
  const tested = queue({ inFlight: 4 })
  for (const number of [1, 2]) tested.push(undefined, number)
  await tested.end(tested.started[0])
  expect([tested.settled, tested.writes.idle]).toEqual([1, false])
  await tested.end(tested.started[1])
  expect([tested.settled, tested.writes.idle, tested.writes.inFlight]).toEqual([2, true, 0])
})

test('writes one batch of a partition after the other where no more are allowed', async () => {
  const { started, push, end } = queue({ inFlight: 8, inFlightPerPartition: 1 })
  for (const number of [1, 2, 3]) for (const partition of [0, 1]) push(partition, number)
  expect(labels(started)).toEqual(['0:1', '1:1'])
  await end(started[1])
  expect(labels(started)).toEqual(['0:1', '1:1', '1:2'])
})

test('lets the partitions take turns', async () => {
  const { started, push, end } = queue({ inFlight: 1 })
  for (const partition of [0, 1, 2]) for (const number of [1, 2, 3]) push(partition, number)
  for (let ended = 0; ended < 8; ended++) await end(started[ended])
  expect(labels(started)).toEqual(['0:1', '0:2', '1:1', '2:1', '0:3', '1:2', '2:2', '1:3', '2:3'])
})

test('keeps every partition in the line while others are pushed', async () => {
  const { started, push, end } = queue({ inFlight: 1 })
  for (const partition of [0, 1, 2]) push(partition, 0)
  for (let number = 1; number <= 30; number++) {
    push(1, number)
    await end(started.at(-1))
  }
  expect(labels(started).slice(0, 3)).toEqual(['0:0', '1:0', '2:0'])
})

describe('a batch that is not admitted', () => {
  function held() {
    const tested = queue({ inFlight: 3 }, ({ number }) => number <= admitted)
    let admitted = 0
    return {
      ...tested,
      admit(most: number) {
        admitted = most
        tested.writes.proceed()
      },
    }
  }

  test('waits, and all others behind it, until it may be asked for again', async () => {
    const { writes, started, push, end, admit } = held()
    for (const [partition, number] of [
      [0, 1],
      [1, 2],
      [2, 0],
    ] as const)
      push(partition, number)
    expect([labels(started), writes.hungry, writes.idle]).toEqual([[], false, false])
    admit(1)
    expect([labels(started), writes.hungry]).toEqual([['0:1'], false])
    await end(started[0])
    expect(labels(started)).toEqual(['0:1'])
    admit(2)
    expect([labels(started), writes.hungry]).toEqual([['0:1', '1:2', '2:0'], true])
  })

  test('is not asked for while there is no room', async () => {
    const asked: number[] = []
    const { writes, push, started, end } = queue({ inFlight: 1 }, ({ number }) => asked.push(number) > 0)
    for (const number of [1, 2]) push(undefined, number)
    writes.proceed()
    expect(asked).toEqual([1])
    await end(started[0])
    expect(asked).toEqual([1, 2])
  })

  test('is forgotten by a stop', () => {
    const { writes, started, push, admit } = held()
    push(undefined, 1)
    writes.stop()
    admit(1)
    expect([labels(started), writes.idle]).toEqual([[], true])
  })
})

describe('a partition that hangs', () => {
  test('keeps only its own batches waiting, also among 500', async () => {
    const { writes, started, push, end, writing } = queue({ inFlight: 16, inFlightPerPartition: 1 })
    for (let number = 0; number < 5; number++) {
      for (let partition = 0; partition < 500; partition++) push(partition, number)
    }
    const others = (): Batch | undefined => [...writing.keys()].find(({ partition }) => partition !== 7)
    for (let batch = others(); batch; batch = others()) await end(batch)
    expect(labels(writing.keys())).toEqual(['7:0'])
    expect(started).toHaveLength(499 * 5 + 1)
    expect([writes.inFlight, writes.hungry, writes.idle]).toEqual([1, true, false])
    for (let number = 0; number < 5; number++) await end([...writing.keys()][0])
    expect(labels(started.slice(-4))).toEqual(['7:1', '7:2', '7:3', '7:4'])
    expect(writes.idle).toBe(true)
  })
})

test('is hungry while fewer batches wait than may be in flight', async () => {
  const { writes, started, push, end } = queue({ inFlight: 2, inFlightPerPartition: 1 })
  const hungry: boolean[] = []
  for (const [partition, number] of [
    [0, 1],
    [1, 1],
    [0, 2],
    [2, 1],
    [3, 1],
  ] as const) {
    push(partition, number)
    hungry.push(writes.hungry)
  }
  expect(hungry).toEqual([true, true, true, false, false])
  await end(started[0])
  expect([labels(started).at(-1), writes.hungry]).toEqual(['0:2', false])
  await end(started[1])
  expect([labels(started).at(-1), writes.hungry]).toEqual(['2:1', true])
})

test.each([
  [1, [true, true, false, false]],
  [2, [true, true, true, false]],
])(
  'counts all that wait where there are no partitions and %i may be written at a time',
  (inFlightPerPartition, hungry) => {
    const { writes, push } = queue({ inFlight: 2, inFlightPerPartition })
    const found = hungry.map((_, number) => {
      push(undefined, number)
      return writes.hungry
    })
    expect(found).toEqual(hungry)
  },
)

test('of a partition that hangs, counts only as many as it may have in flight', () => {
  const { writes, push } = queue({ inFlight: 3, inFlightPerPartition: 1 })
  for (let number = 0; number < 10; number++) push(7, number)
  expect(writes.hungry).toBe(true)
})

test('stopped, it forgets what waits, takes nothing more, and lets what is in flight go on', async () => {
  const { writes, started, push, end } = queue({ inFlight: 1 })
  for (const number of [1, 2, 3]) push(undefined, number)
  writes.stop()
  push(undefined, 4)
  expect([writes.idle, writes.inFlight]).toEqual([false, 1])
  await end(started[0])
  expect([writes.idle, labels(started)]).toEqual([true, ['-:1']])
})

test('keeps the order and the limits in any course of events', async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const random = seeded(seed)
    const roll = (sides: number): number => Math.floor(random() * sides)
    const limits = { inFlight: 1 + roll(6), inFlightPerPartition: 1 + roll(3) }
    const { writes, started, push, end, writing } = queue(limits)
    const pushed: string[] = []
    for (let number = 0; number < 200 || !writes.idle; ) {
      if (number < 200 && random() < 0.6) {
        const partition = roll(8)
        push(partition, number)
        pushed.push(`${partition}:${number++}`)
      } else if (writing.size > 0) await end([...writing.keys()][roll(writing.size)])
      const counts = Map.groupBy(writing.keys(), batch => batch.partition)
      expect(writing.size).toBeLessThanOrEqual(limits.inFlight)
      for (const batches of counts.values()) expect(batches.length).toBeLessThanOrEqual(limits.inFlightPerPartition)
    }
    const bySize = (a: string, b: string): number => Number(a.split(':')[0]) - Number(b.split(':')[0])
    expect(labels(started).toSorted(bySize)).toEqual(pushed.toSorted(bySize))
  }
})
