import { expect, test } from 'vitest'
import { type DeliveryOptions, resolveOptions } from '../../src/core/options.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { arrowSource } from './arrow-source.ts'

const source = arrowSource({ dir: '/nowhere', files: [] })
const sink = memorySink({ name: 'out' })

function unitsInFlight(lanes: number, delivery: DeliveryOptions): number {
  const { destinations } = resolveOptions({ source, sinks: [{ sink, ...delivery }], lanes })
  return destinations.get('memory/out')!.delivery.unitsInFlight
}

test('checksums are summed unless that is not wanted', () => {
  const checksums = (delivery: DeliveryOptions) => {
    const { destinations } = resolveOptions({ source, sinks: [{ sink, ...delivery }], lanes: 1 })
    return destinations.get('memory/out')!.delivery.checksums
  }
  expect([checksums({}), checksums({ checksums: false })]).toEqual([true, false])
  const wrong = { checksums: 'yes' } as unknown as DeliveryOptions
  expect(() => checksums(wrong)).toThrow('sinks[0].checksums: must be true or false')
})

test('as many units are delivered at a time as there are lanes, if the window has room for their spans', () => {
  expect([0, 1, 2, 7].map(lanes => unitsInFlight(lanes, {}))).toEqual([2, 2, 2, 7])
  expect(unitsInFlight(64, {})).toBe(24)
  expect(unitsInFlight(64, { maxUnsettledRows: 1_000_000 })).toBe(64)
  expect(unitsInFlight(7, { unitsInFlight: 3 })).toBe(3)
  expect(unitsInFlight(7, { order: 'total' })).toBe(1)
})
