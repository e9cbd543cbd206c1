import { describe, expect, test } from 'vitest'
import { MemoryBudget, type Share } from '../../src/core/budget.ts'

/** A unit that notes how often it was woken. */
function unit(share: Share) {
  let woken = 0
  const credit = share.credit(() => woken++)
  return {
    ...credit,
    get woken() {
      return woken
    },
  }
}

test('one destination alone may have all of it, and not more', () => {
  const budget = new MemoryBudget(100)
  const { take } = unit(budget.share())
  expect([take(60, false), take(40, false), take(1, false), budget.held]).toEqual([true, true, false, 100])
})

test('several have the same share, which one that takes all it can leaves to the others', () => {
  const budget = new MemoryBudget(90)
  const units = [1, 2, 3].map(() => unit(budget.share()))
  for (const { take } of units) {
    expect([take(20, false), take(20, false), take(10, false), take(1, false)]).toEqual([true, false, true, false])
  }
  expect(budget.held).toBe(90)
})

test('the units of a destination have its share together', () => {
  const budget = new MemoryBudget(100)
  const share = budget.share()
  budget.share()
  const [first, second] = [unit(share), unit(share)]
  expect([first.take(40, false), second.take(20, false), second.take(10, false)]).toEqual([true, false, true])
})

test('what one held from when there were fewer is not there for others, and comes back as it is given back', () => {
  const budget = new MemoryBudget(100)
  const early = unit(budget.share())
  early.take(100, false)
  const late = unit(budget.share())
  expect(late.take(30, false)).toBe(false)
  early.correct(-40)
  expect([early.take(1, false), late.woken, late.take(30, false)]).toEqual([false, 1, true])
})

test('who holds nothing gets what it needs in any case', () => {
  const budget = new MemoryBudget(10)
  unit(budget.share()).take(10, false)
  const { take } = unit(budget.share())
  expect([take(500, false), take(500, true), take(1, false), budget.held]).toEqual([false, true, false, 510])
})

describe('who did not get any is woken once', () => {
  test('when memory is given back', () => {
    const share = new MemoryBudget(10).share()
    const [holder, waiter] = [unit(share), unit(share)]
    holder.take(10, false)
    holder.correct(-5)
    expect([waiter.woken, waiter.take(6, false)]).toEqual([0, false])
    holder.correct(-1)
    holder.correct(-1)
    expect([waiter.woken, waiter.take(6, false)]).toEqual([1, true])
  })

  test('when another destination has ended, and there is more for each', () => {
    const budget = new MemoryBudget(100)
    const other = budget.share()
    const waiter = unit(budget.share())
    expect(waiter.take(60, false)).toBe(false)
    other.close()
    expect([waiter.woken, waiter.take(60, false)]).toEqual([1, true])
  })

  test('but not after it has ended', () => {
    const share = new MemoryBudget(10).share()
    const [holder, waiter] = [unit(share), unit(share)]
    holder.take(10, false)
    waiter.take(5, false)
    waiter.close()
    holder.close()
    expect(waiter.woken).toBe(0)
  })
})

test('what a unit took comes back when it ends, once, also where less was left of it', () => {
  const budget = new MemoryBudget(100)
  const share = budget.share()
  const [first, second] = [unit(share), unit(share)]
  first.take(30, false)
  first.correct(15)
  first.correct(-20)
  second.take(7, false)
  first.close()
  first.close()
  first.correct(-15) // a write that ended after its unit
  expect(budget.held).toBe(7)
})
