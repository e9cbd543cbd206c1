import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Entry, PartitionQueue } from '../../../src/sinks/kafka/partition-queue.ts'
import { seeded } from '../../core/simulated-time.ts'
import { type Course, type Faults, NO_FAULTS, simulate } from './simulated-sending.ts'

type Batch = { readonly name: string; readonly rows: number }

function queueOf(...names: string[]): PartitionQueue<Batch> {
  const queue = new PartitionQueue<Batch>(5)
  for (const name of names) queue.add({ name, rows: 10 })
  return queue
}

/** Sends all that may be sent. */
function send(queue: PartitionQueue<Batch>): Entry<Batch>[] {
  const sent: Entry<Batch>[] = []
  for (let entry = queue.next(); entry; entry = queue.next()) sent.push(entry)
  return sent
}

/** A queue that had its first batch taken, and the others in flight. */
function pipelining(...names: string[]): { queue: PartitionQueue<Batch>; sent: Entry<Batch>[] } {
  const queue = queueOf('first', ...names)
  queue.taken(queue.next()!, 0n)
  return { queue, sent: send(queue) }
}

const namesOf = (entries: readonly { readonly batch: Batch }[]) => entries.map(({ batch }) => batch.name)
const sequencesOf = (entries: readonly Entry<Batch>[]) => entries.map(({ sequence }) => sequence)

describe('what may be sent', () => {
  test('the first batch of an epoch goes alone, then five follow', () => {
    const queue = queueOf('a', 'b', 'c', 'd', 'e', 'f', 'g')
    const first = send(queue)
    expect(namesOf(first)).toEqual(['a'])
    expect(queue.taken(first[0]!, 0n)).toEqual([{ batch: { name: 'a', rows: 10 }, offset: 0n }])
    const sent = send(queue)
    expect(namesOf(sent)).toEqual(['b', 'c', 'd', 'e', 'f'])
    expect(sequencesOf(sent)).toEqual([10, 20, 30, 40, 50])
    expect(queue.ready).toBe(false)
    queue.taken(sent[0]!, 10n)
    expect(namesOf(send(queue))).toEqual(['g'])
  })

  test('the first after a time without any goes alone again: the broker may have forgotten the producer meanwhile', () => {
    const { queue, sent } = pipelining('b', 'c')
    for (const entry of sent) queue.taken(entry, -1n)
    for (const name of ['d', 'e', 'f']) queue.add({ name, rows: 10 })
    const next = send(queue)
    expect(namesOf(next)).toEqual(['d'])
    queue.taken(next[0]!, -1n)
    expect(namesOf(send(queue))).toEqual(['e', 'f'])
  })

  test('what is taken behind one that is not does not make room: the broker remembers five', () => {
    const { queue, sent } = pipelining('b', 'c', 'd', 'e', 'f', 'g')
    for (const entry of sent.slice(1)) queue.taken(entry, -1n)
    expect(queue.inFlight).toBe(1)
    expect(queue.ready).toBe(false)
  })

  test('sequence numbers wrap at 2^31', () => {
    const queue = new PartitionQueue<Batch>(5)
    for (const rows of [2 ** 31 - 3, 5, 1]) queue.add({ name: '', rows })
    queue.taken(queue.next()!, 0n)
    expect(sequencesOf(send(queue))).toEqual([2 ** 31 - 3, 2])
  })
})

describe('after a failure', () => {
  test('nothing is sent until all was answered, then everything again in order, the first alone, with the same numbers', () => {
    const { queue, sent } = pipelining('b', 'c', 'd', 'e')
    const [b, c, d] = sent as [Entry<Batch>, Entry<Batch>, Entry<Batch>]
    queue.failed(b, 'unknown')
    queue.failed(c, 'out of order')
    queue.failed(d, 'out of order')
    expect(queue.ready).toBe(false)
    queue.failed(sent[3]!, 'unknown')
    const again = send(queue)
    expect(again).toEqual([b])
    expect(again[0]!.sequence).toBe(10)
    queue.taken(b, 10n)
    const rest = send(queue)
    expect(namesOf(rest)).toEqual(['c', 'd', 'e'])
    expect(sequencesOf(rest)).toEqual([20, 30, 40])
  })

  test('out of order at the head begins an epoch, with new numbers for what is left', () => {
    const { queue, sent } = pipelining('b', 'c')
    queue.failed(sent[0]!, 'out of order')
    expect(queue.needsEpoch).toBe(false)
    queue.failed(sent[1]!, 'out of order')
    expect(queue.ready).toBe(false)
    expect(queue.needsEpoch).toBe(true)
    queue.beginEpoch()
    const [b] = send(queue) as [Entry<Batch>]
    expect([b.batch.name, b.sequence]).toEqual(['b', 0])
    queue.taken(b, 10n)
    expect(sequencesOf(send(queue))).toEqual([10])
  })

  test('what came later and turns out to be there proves what was out of order after a lost answer', () => {
    const { queue, sent } = pipelining('b', 'c', 'd')
    for (const entry of sent) queue.failed(entry, 'unknown')
    expect(namesOf(send(queue))).toEqual(['b'])
    queue.failed(sent[0]!, 'out of order')
    expect(namesOf(send(queue))).toEqual(['c'])
    queue.failed(sent[1]!, 'out of order')
    expect(namesOf(send(queue))).toEqual(['d'])
    const settled = queue.taken(sent[2]!, 30n)
    expect(settled.map(({ batch, offset }) => [batch.name, offset])).toEqual([
      ['b', -1n],
      ['c', -1n],
      ['d', 30n],
    ])
    expect(queue.needsEpoch).toBe(false)
  })

  test('offsets that leave no room for it prove nothing: the broker had forgotten, and took what came later', () => {
    const { queue, sent } = pipelining('b', 'c')
    queue.failed(sent[0]!, 'unknown')
    queue.taken(sent[1]!, 10n)
    expect(send(queue)).toEqual([sent[0]])
    expect(queue.failed(sent[0]!, 'out of order')).toEqual([])
    expect(queue.needsEpoch).toBe(true)
  })

  test('where nothing that came later is there either, an epoch begins', () => {
    const { queue, sent } = pipelining('b', 'c')
    for (const entry of sent) queue.failed(entry, 'unknown')
    for (const entry of sent) {
      expect(send(queue)).toEqual([entry])
      queue.failed(entry, 'out of order')
    }
    expect(queue.needsEpoch).toBe(true)
  })

  test('a broker that takes nothing of the producer any more begins an epoch when all was answered', () => {
    const { queue, sent } = pipelining('b', 'c')
    queue.failed(sent[0]!, 'producer lost')
    expect(queue.needsEpoch).toBe(false)
    queue.failed(sent[1]!, 'producer lost')
    expect(queue.needsEpoch).toBe(true)
  })
})

describe('a refused batch', () => {
  test('is replaced by halves that keep its numbers', () => {
    const { queue, sent } = pipelining('b', 'c')
    queue.refused(sent[0]!)
    queue.failed(sent[1]!, 'out of order')
    expect(queue.ready).toBe(false)
    queue.replace(
      sent[0]!,
      [
        { name: 'b1', rows: 4 },
        { name: 'b2', rows: 6 },
      ],
      true,
    )
    const [b1] = send(queue) as [Entry<Batch>]
    queue.taken(b1, 10n)
    const rest = send(queue)
    expect(namesOf([b1, ...rest])).toEqual(['b1', 'b2', 'c'])
    expect(sequencesOf([b1, ...rest])).toEqual([10, 14, 20])
    expect(queue.needsEpoch).toBe(false)
  })

  test('leaves a gap when rows are taken out of it, so that an epoch begins', () => {
    const { queue, sent } = pipelining('b', 'c')
    queue.refused(sent[0]!)
    queue.replace(sent[0]!, [{ name: 'b-', rows: 9 }], false)
    expect(queue.needsEpoch).toBe(false)
    queue.failed(sent[1]!, 'out of order')
    expect(queue.needsEpoch).toBe(true)
    queue.beginEpoch()
    expect(namesOf(send(queue))).toEqual(['b-'])
  })
})

describe('a dropped batch', () => {
  test('that was never sent leaves no gap', () => {
    const queue = queueOf('a')
    queue.add({ name: 'b', rows: 10 })
    queue.add({ name: 'c', rows: 10 })
    queue.drop(({ name }) => name === 'b')
    queue.taken(queue.next()!, 0n)
    expect(namesOf(send(queue))).toEqual(['c'])
    expect(queue.needsEpoch).toBe(false)
  })

  test('that is in flight and taken is settled like any other; one that fails is not sent again', () => {
    const { queue, sent } = pipelining('b', 'c', 'd')
    queue.drop(({ name }) => name === 'b' || name === 'c')
    queue.taken(sent[0]!, 10n)
    queue.failed(sent[1]!, 'unknown')
    queue.failed(sent[2]!, 'unknown')
    expect(queue.needsEpoch).toBe(true)
    queue.beginEpoch()
    expect(namesOf(send(queue))).toEqual(['d'])
  })
})

test.each(['before', 'after'])('of a batch that was dropped %s it was refused no part is sent', when => {
  const { queue, sent } = pipelining('b', 'c')
  const dropB = () => queue.drop(({ name }) => name === 'b')
  if (when === 'before') dropB()
  queue.refused(sent[0]!)
  if (when === 'after') dropB()
  const parts = ['b1', 'b2'].map(name => ({ name, rows: 5 }))
  queue.replace(sent[0]!, parts, true)
  queue.failed(sent[1]!, 'out of order')
  expect(queue.needsEpoch).toBe(true)
  queue.beginEpoch()
  expect(namesOf(send(queue))).toEqual(['c'])
})

describe('simulated against a log that judges as a broker does', () => {
  const chance = (max: number) => fc.double({ min: 0, max, noNaN: true })
  const worlds = fc.record({
    seed: fc.integer(),
    batches: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 30 }),
    bad: fc.uniqueArray(fc.nat(100), { maxLength: 8 }),
    names: fc.boolean(),
    notLeader: chance(0.4),
    timeout: chance(0.3),
    lostConnection: chance(0.1),
    restart: chance(0.2),
  })

  function run(world: Partial<Faults> & { seed: number; batches: readonly number[]; bad?: readonly number[] }): Course {
    const bad = new Set(world.bad)
    return simulate(seeded(world.seed), world.batches, { ...NO_FAULTS, ...world, isBad: row => bad.has(row) })
  }

  function rowsOf(batches: readonly number[]): number[] {
    return [...Array(batches.reduce((sum, rows) => sum + rows, 0)).keys()]
  }

  test('every row is in the log once and in order, or refused, whatever is lost on the way', () => {
    fc.assert(
      fc.property(worlds, world => {
        const { log, refused, settled, offsets } = run(world)
        const bad = new Set(world.bad)
        const rows = rowsOf(world.batches)
        const good = rows.filter(row => !bad.has(row))
        expect(refused.toSorted((a, b) => a - b)).toEqual(rows.filter(row => bad.has(row)))
        expect(log).toEqual(good)
        expect(settled.toSorted((a, b) => a - b)).toEqual(good)
        for (const [row, offset] of offsets) expect(log[Number(offset)]).toBe(row)
      }),
      { numRuns: 1_500 },
    )
  })

  test('with a broker that forgets the producer no row is lost', () => {
    fc.assert(
      fc.property(worlds, chance(0.1), (world, forgetting) => {
        const { log, settled } = run({ ...world, bad: [], forgetting })
        expect(settled.toSorted((a, b) => a - b)).toEqual(rowsOf(world.batches))
        expect([...new Set(log)].sort((a, b) => a - b)).toEqual(rowsOf(world.batches))
      }),
      { numRuns: 700 },
    )
  })

  test('writers that give up take nothing but their own rows with them', () => {
    fc.assert(
      fc.property(worlds, chance(0.1), (world, dropping) => {
        const { log, settled, dropped } = run({ ...world, bad: [], dropping })
        const gone = new Set(dropped)
        const kept = rowsOf(world.batches).filter(row => !gone.has(row))
        expect(settled.filter(row => !gone.has(row)).toSorted((a, b) => a - b)).toEqual(kept)
        // what was taken behind a batch that was given up, without an answer, comes again
        expect([...new Set(log)].filter(row => !gone.has(row))).toEqual(kept)
      }),
      { numRuns: 700 },
    )
  })

  test('without faults each batch is sent once', () => {
    const { requests, epochs } = run({ seed: 1, batches: Array(50).fill(3) })
    expect([requests, epochs]).toEqual([50, 0])
  })
})
