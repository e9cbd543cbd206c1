import { expect, test } from 'vitest'
import { ValueSets } from '../../src/columnar/value-sets.ts'

async function* pieces(...values: string[]): AsyncGenerator<readonly string[]> {
  yield values
}

test('a set is loaded once for all that use it, and again when others came in between', async () => {
  const sets = new ValueSets()
  let loads = 0
  const load = (...values: string[]) => {
    loads++
    return pieces(...values)
  }
  const [first, second] = await Promise.all([sets.get('a', () => load('1')), sets.get('a', () => load('1'))])
  expect([first === second, loads]).toEqual([true, 1])
  await sets.get('b', () => load('2'))
  await sets.get('c', () => load('3'))
  expect([...(await sets.get('a', () => load('1', '4')))]).toEqual(['1', '4'])
})

test('one that is loaded by somebody who gives up is loaded by the next', async () => {
  const sets = new ValueSets()
  const gone = Promise.withResolvers<never>()
  async function* ended(): AsyncGenerator<readonly string[]> {
    yield await gone.promise
  }
  const first = sets.get('a', ended)
  const second = sets.get('a', () => pieces('1'))
  gone.reject(new Error('cancelled'))
  await expect(first).rejects.toThrow('cancelled')
  expect([...(await second)]).toEqual(['1'])
})
