/** Value sets that lanes share: built by one of them, used by all. */
import { afterEach, beforeAll, expect, test } from 'vitest'
import type { ReadPlan, UnitReader } from '../../src/columnar/read-plan.ts'
import type { OpenValueSet } from '../../src/core/lane.ts'
import { createLanes, type Lanes } from '../../src/core/lanes.ts'
import { chunkOf, countingAccess, planOf, readUnit, rowsOf } from '../columnar/read-units.ts'
import { parquetFile } from '../columnar/staged-files.ts'

let file: Uint8Array
let lanes: Lanes | undefined

beforeAll(async () => {
  file = await parquetFile("SELECT i, 'row ' || i AS s FROM range(5000) r(i)")
})

afterEach(async () => {
  await lanes?.close()
})

function read(valueSet: OpenValueSet): UnitReader {
  const filter = { column: 's', type: { kind: 'string' }, values: { count: 3, ref: 'set' } } as const
  const plan: ReadPlan = planOf([chunkOf(file)], { predicate: { filter } })
  return lanes!.read(plan, async () => countingAccess(file), valueSet)
}

const EXPECTED = [
  { i: 17, s: 'row 17' },
  { i: 4000, s: 'row 4000' },
]

async function* values(): AsyncGenerator<readonly string[]> {
  yield ['row 17', 'nobody']
  yield ['row 4000']
}

test('a set is asked of the host once for all lanes, and kept for later readers', async () => {
  lanes = createLanes(2)
  let asked = 0
  const counted: OpenValueSet = () => {
    asked++
    return values()
  }
  const units = await Promise.all([read(counted), read(counted), read(counted)].map(readUnit))
  units.push(await readUnit(read(counted)))
  for (const { batches } of units) expect(rowsOf(batches)).toEqual(EXPECTED)
  expect(asked).toBe(1)
})

test.each([1, 2])('a reader that ends while it builds a set leaves that to the next: %i lanes', async count => {
  lanes = createLanes(count)
  const asked = Promise.withResolvers<void>()
  const hanging = read(async function* () {
    asked.resolve()
    yield await new Promise<never>(() => {})
  })
  const first = hanging.next()
  await asked.promise
  const second = readUnit(read(values))
  await Promise.all([expect(first).rejects.toMatchObject({ code: 'cancelled' }), hanging.close()])
  expect(rowsOf((await second).batches)).toEqual(EXPECTED)
})

test('a set that the host cannot give fails its reader with the error of the host, and is asked for again by the next', async () => {
  lanes = createLanes(2)
  const failing = readUnit(
    // biome-ignore lint/correctness/useYield: it fails before
    read(async function* () {
      throw new TypeError('the store is gone')
    }),
  )
  await expect(failing).rejects.toThrow('the store is gone')
  expect(rowsOf((await readUnit(read(values))).batches)).toEqual(EXPECTED)
})
