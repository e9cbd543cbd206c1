import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addChecksums, rowChecksum, ZERO_CHECKSUM } from '../../src/columnar/checksum.ts'
import { type Outcome, Settlement, type WindowLimits } from '../../src/core/settlement.ts'
import type { Checkpoint } from '../../src/core/unit.ts'

const LIMITS: WindowLimits = { maxUnsettledRows: 100, maxUnsettledBytes: 1_000, spanRows: 10, frees: 'stored' }

function span(chunk: number, row: number, { rows = 10, filtered = 0, bytes = 10, last = false } = {}) {
  return { chunk, row, rows, filtered, bytes, last }
}

function outcome(delivered: number, deadLettered = 0): Outcome {
  return { delivered, deadLettered, bytes: delivered, checksum: sumOf(delivered) }
}

/** Every row has the same checksum here. */
function sumOf(rows: number): string {
  return Array.from({ length: rows }, () => rowChecksum(Buffer.from('row'))).reduce(addChecksums, ZERO_CHECKSUM)
}

function checkpoint(chunk: number, row: number, tallies: Partial<Checkpoint> = {}): Checkpoint {
  const none = { done: false, delivered: 0, filtered: 0, deadLettered: 0, bytes: 0, checksum: ZERO_CHECKSUM }
  return { chunk, row, ...none, ...tallies }
}

describe('the watermark', () => {
  test('moves only over leading settled spans', () => {
    const settlement = new Settlement([], LIMITS)
    for (const row of [0, 10, 20]) settlement.add(span(0, row))
    settlement.settle({ chunk: 0, row: 10 }, outcome(10))
    expect([settlement.moved, settlement.take()]).toEqual([false, []])
    settlement.settle({ chunk: 0, row: 0 }, outcome(4))
    settlement.settle({ chunk: 0, row: 0 }, outcome(5, 1))
    expect(settlement.take()).toEqual([
      checkpoint(0, 20, { delivered: 19, deadLettered: 1, bytes: 19, checksum: sumOf(19) }),
    ])
    expect([settlement.moved, settlement.settled]).toEqual([false, false])
  })

  test('moves at once over spans of which nothing is left to send, and over empty files', () => {
    const settlement = new Settlement([], LIMITS)
    settlement.add(span(0, 0, { filtered: 10, bytes: 0 }))
    settlement.add(span(0, 10, { rows: 3, filtered: 3, bytes: 0, last: true }))
    settlement.add(span(1, 0, { rows: 0, bytes: 0, last: true }))
    expect(settlement.take()).toEqual([
      checkpoint(0, 13, { filtered: 13, done: true }),
      checkpoint(1, 0, { done: true }),
    ])
    expect(settlement.settled).toBe(true)
  })

  test('goes on from the checkpoints of an earlier attempt, with their tallies', () => {
    const from = checkpoint(3, 20, { delivered: 15, filtered: 4, deadLettered: 1, bytes: 15, checksum: sumOf(15) })
    const settlement = new Settlement([from], LIMITS)
    settlement.add(span(3, 20, { filtered: 2, last: true }))
    settlement.settle({ chunk: 3, row: 20 }, outcome(8))
    expect(settlement.take()).toEqual([
      checkpoint(3, 30, { done: true, delivered: 23, filtered: 6, deadLettered: 1, bytes: 23, checksum: sumOf(23) }),
    ])
  })
})

describe('refuses what cannot be', () => {
  test('rows that settle twice', () => {
    const settlement = new Settlement([], LIMITS)
    settlement.add(span(0, 0))
    settlement.add(span(0, 10))
    settlement.settle({ chunk: 0, row: 10 }, outcome(7))
    expect(() => settlement.settle({ chunk: 0, row: 10 }, outcome(3, 1))).toThrow(
      'settled more rows than chunk 0 row 10 has open',
    )
  })

  test('rows of a span that has settled, or that was never read', () => {
    const settlement = new Settlement([], LIMITS)
    settlement.add(span(0, 0))
    settlement.settle({ chunk: 0, row: 0 }, outcome(10))
    expect(() => settlement.settle({ chunk: 0, row: 0 }, outcome(1))).toThrow('than chunk 0 row 0 has open')
    expect(() => settlement.settle({ chunk: 1, row: 0 }, outcome(1))).toThrow('than chunk 1 row 0 has open')
  })

  test.each([
    ['behind the start of a chunk', [], 10, 0],
    ['that leaves a gap', [checkpoint(0, 20)], 30, 20],
    ['that was settled before', [checkpoint(0, 20)], 10, 20],
  ])('a span %s', (_, from, row, follows) => {
    const settlement = new Settlement(from, LIMITS)
    expect(() => settlement.add(span(0, row, { filtered: 10 }))).toThrow(
      `chunk 0: span at row ${row} does not follow ${follows}`,
    )
  })
})

describe('the window', () => {
  function filled(limits: Partial<WindowLimits>, spans: number): Settlement {
    const settlement = new Settlement([], { ...LIMITS, ...limits })
    for (let index = 0; index < spans; index++) settlement.add(span(0, 10 * index))
    return settlement
  }

  test('takes another span only if it fits whole, or if nothing is unsettled', () => {
    expect(filled({}, 9).fits).toBe(true)
    expect(filled({}, 10).fits).toBe(false)
    expect(filled({ maxUnsettledRows: 99 }, 9).fits).toBe(false)
    expect(filled({ maxUnsettledRows: 5 }, 0).fits).toBe(true)
    expect(filled({ maxUnsettledRows: 5 }, 1).fits).toBe(false)
  })

  test('takes another span while fewer bytes than allowed are unsettled', () => {
    expect(filled({ maxUnsettledBytes: 31 }, 3).fits).toBe(true)
    expect(filled({ maxUnsettledBytes: 30 }, 3).fits).toBe(false)
  })

  test('is crowded when more than half of it is taken', () => {
    expect([filled({}, 5).crowded, filled({}, 6).crowded]).toEqual([false, true])
    expect(filled({ maxUnsettledBytes: 59 }, 3).crowded).toBe(true)
    expect(filled({ maxUnsettledBytes: 60 }, 3).crowded).toBe(false)
  })

  test('is freed by what is stored, dead letters included, and not by what is only taken', () => {
    const settlement = filled({}, 10)
    settlement.settle({ chunk: 0, row: 0 }, outcome(5, 5))
    expect(settlement.fits).toBe(false)
    settlement.take()
    expect(settlement.fits).toBe(false)
    settlement.settle({ chunk: 0, row: 10 }, outcome(10))
    settlement.stored()
    expect(settlement.fits).toBe(true)
    settlement.add(span(0, 100))
    expect(settlement.fits).toBe(false)
  })

  test('is freed by what is written where the sink commits', () => {
    const settlement = filled({ frees: 'written' }, 10)
    settlement.settle({ chunk: 0, row: 0 }, outcome(10))
    expect(settlement.fits).toBe(true)
    settlement.take()
    settlement.stored()
    settlement.add(span(0, 100))
    expect(settlement.fits).toBe(false)
  })
})

interface Plan {
  readonly spans: readonly { readonly rows: number; readonly filtered: number; readonly rowBytes: number }[]
  readonly dice: readonly number[]
  readonly maxUnsettledRows: number
  readonly maxUnsettledBytes: number
  readonly frees: WindowLimits['frees']
}

const SPAN_ROWS = 8

const plans: fc.Arbitrary<Plan> = fc.record({
  spans: fc.array(
    fc
      .record({
        rows: fc.integer({ min: 1, max: SPAN_ROWS }),
        share: fc.integer({ min: 0, max: 4 }),
        rowBytes: fc.integer({ min: 1, max: 9 }),
      })
      .map(({ rows, share, rowBytes }) => ({ rows, filtered: Math.floor((rows * share) / 4), rowBytes })),
    { minLength: 1, maxLength: 40 },
  ),
  dice: fc.array(fc.nat(), { minLength: 1, maxLength: 60 }),
  maxUnsettledRows: fc.integer({ min: 1, max: 5 * SPAN_ROWS }),
  maxUnsettledBytes: fc.integer({ min: 1, max: 200 }),
  frees: fc.constantFrom('stored', 'written'),
})

/**
 * Reads the spans as the window allows, into two chunks, and settles them in pieces of any size in any order, with
 * checkpoints stored and crashes in between; compares each step with a plain count of the rows.
 */
function simulate({ spans, dice, frees, ...limits }: Plan): void {
  const middle = Math.floor(spans.length / 2)
  let throws = 0
  const roll = (sides: number): number => dice[throws++ % dice.length]! % sides
  const placed = spans.map((each, index) => {
    const chunk = index < middle ? 0 : 1
    const row = spans.slice(chunk === 0 ? 0 : middle, index).reduce((sum, { rows }) => sum + rows, 0)
    return { ...each, chunk, row, last: index === middle - 1 || index === spans.length - 1 }
  })
  const stored = new Map<number, Checkpoint>()

  for (let crashes = 0; ; crashes++) {
    const settlement = new Settlement([...stored.values()], { ...limits, spanRows: SPAN_ROWS, frees })
    const start = placed.findIndex(({ chunk, row, rows }) => (stored.get(chunk)?.row ?? 0) < row + rows)
    if (start === -1) break
    let read = start
    const open: { readonly index: number; rows: number }[] = []
    const left = placed.map(({ rows, filtered }) => rows - filtered)
    let windowFrom = start
    let taken: { readonly checkpoints: readonly Checkpoint[]; readonly to: number } | undefined

    const leading = (): number => {
      let index = start
      while (index < read && left[index] === 0) index++
      return index
    }
    const unsettled = (weight: (index: number) => number): number => {
      let sum = 0
      for (let index = frees === 'written' ? leading() : windowFrom; index < read; index++) sum += weight(index)
      return sum
    }
    const rowsOf = (index: number): number => placed[index]!.rows - placed[index]!.filtered
    const bytesOf = (index: number): number => rowsOf(index) * placed[index]!.rowBytes

    const readNext = (): void => {
      const { chunk, row, rows, filtered, last } = placed[read]!
      settlement.add({ chunk, row, rows, filtered, bytes: bytesOf(read), last })
      if (rowsOf(read) > 0) open.push({ index: read, rows: rowsOf(read) })
      read++
      const alone = unsettled(rowsOf) === rowsOf(read - 1)
      expect(alone || unsettled(rowsOf) <= limits.maxUnsettledRows).toBe(true)
      expect(alone || unsettled(bytesOf) - bytesOf(read - 1) < limits.maxUnsettledBytes).toBe(true)
    }
    const settleSome = (): void => {
      const at = roll(open.length)
      const { index, rows } = open[at]!
      const delivered = 1 + roll(rows)
      const deadLettered = roll(rows - delivered + 1)
      settlement.settle(placed[index]!, {
        ...outcome(delivered, deadLettered),
        bytes: delivered * placed[index]!.rowBytes,
      })
      left[index]! -= delivered + deadLettered
      delivereds[index] = (delivereds[index] ?? 0) + delivered
      if (left[index] === 0) open.splice(at, 1)
      else open[at]!.rows = left[index]!
    }
    const delivereds: number[] = []
    const takeSome = (): void => {
      const checkpoints = settlement.take()
      taken = { checkpoints, to: leading() }
    }
    const storeTaken = (): void => {
      settlement.stored()
      for (const mark of taken!.checkpoints) {
        const before = stored.get(mark.chunk)
        const covered = placed.flatMap(({ chunk, row }, index) =>
          chunk === mark.chunk && row >= (before?.row ?? 0) && row < mark.row ? [index] : [],
        )
        const sum = (weight: (index: number) => number): number =>
          covered.reduce((all, index) => all + weight(index), 0)
        const delivered = (before?.delivered ?? 0) + sum(index => delivereds[index] ?? 0)
        expect(covered.every(index => left[index] === 0)).toBe(true)
        expect(mark).toEqual({
          chunk: mark.chunk,
          row: placed[covered.at(-1)!]!.row + placed[covered.at(-1)!]!.rows,
          done: placed[covered.at(-1)!]!.last,
          delivered,
          filtered: (before?.filtered ?? 0) + sum(index => placed[index]!.filtered),
          deadLettered: (before?.deadLettered ?? 0) + sum(index => rowsOf(index) - (delivereds[index] ?? 0)),
          bytes: (before?.bytes ?? 0) + sum(index => (delivereds[index] ?? 0) * placed[index]!.rowBytes),
          checksum: sumOf(delivered),
        })
        stored.set(mark.chunk, mark)
      }
      windowFrom = taken!.to
      taken = undefined
    }

    for (;;) {
      expect(settlement.settled).toBe(leading() === read)
      const acts = [
        ...(read < placed.length && settlement.fits ? [readNext] : []),
        ...(open.length > 0 ? [settleSome, settleSome] : []),
        ...(taken === undefined && settlement.moved ? [takeSome] : []),
        ...(taken === undefined ? [] : [storeTaken]),
      ]
      // with nothing open, nothing to store and rows left, the window must take a span: else it would be a deadlock
      if (acts.length === 0) expect(read).toBe(placed.length)
      if (acts.length === 0 || (crashes < 3 && roll(25) === 0)) break
      acts[roll(acts.length)]!()
    }
  }

  const rows = placed.reduce((sum, each) => sum + each.rows, 0)
  const settled = [...stored.values()].reduce(
    (sum, mark) => sum + mark.delivered + mark.filtered + mark.deadLettered,
    0,
  )
  expect(settled).toBe(rows)
}

test('keeps watermarks, tallies and the window exact, whatever is settled, stored and lost in any order', () => {
  fc.assert(fc.property(plans, simulate), { numRuns: 300 })
})
