import { expect, test } from 'vitest'
import type { ByteSet } from '../../src/columnar/byte-set.ts'
import { heldSet, type SetHolder, ValueSets } from '../../src/columnar/value-sets.ts'

function named(ref: string) {
  return { ref, type: { kind: 'string' }, count: 2 } as const
}

function holder(sets: ValueSets, owner: object): SetHolder {
  return {
    claim: key => sets.claim(key, owner),
    settle: async (key, set) => sets.settle(key, owner, set),
  }
}

function textsOf(set: ByteSet): string[] {
  return [...set.keys()].map(key => Buffer.from(key).toString()).sort()
}

test('a set is built once for all that use it, and again when others came in between', async () => {
  const sets = new ValueSets()
  let loads = 0
  async function* values(...texts: string[]): AsyncGenerator<readonly string[]> {
    loads++
    yield texts
  }
  const get = (ref: string, ...texts: string[]) => heldSet(named(ref), holder(sets, {}), () => values(...texts))
  const [first, second] = await Promise.all([get('a', '1'), get('a', '1')])
  expect([first.shared.values === second.shared.values, loads]).toEqual([true, 1])
  expect([textsOf(await get('b', '2')), loads]).toEqual([['2'], 2])
  // used again, and so it is b that goes
  expect([textsOf(await get('a', '9')), loads]).toEqual([['1'], 2])
  expect([textsOf(await get('c', '3')), loads]).toEqual([['3'], 3])
  expect([textsOf(await get('a', '9')), loads]).toEqual([['1'], 3])
  expect([textsOf(await get('b', '1', '4')), loads]).toEqual([['1', '4'], 4])
})

test('the same values are different sets for columns of different types', async () => {
  const sets = new ValueSets()
  const get = (set: Parameters<typeof heldSet>[0]) => heldSet(set, holder(sets, {}), () => [['1']])
  const [text, number] = await Promise.all([
    get(named('a')),
    get({ ...named('a'), type: { kind: 'integer', bits: 64, signed: true } }),
  ])
  expect([...text.keys()][0]).toHaveLength(1)
  expect([...number.keys()][0]).toHaveLength(16)
})

test('one that cannot be built is built by the next', async () => {
  const sets = new ValueSets()
  const gone = Promise.withResolvers<never>()
  async function* ended(): AsyncGenerator<readonly string[]> {
    yield await gone.promise
  }
  const first = heldSet(named('a'), holder(sets, {}), ended)
  const second = heldSet(named('a'), holder(sets, {}), () => [['1']])
  gone.reject(new Error('cancelled'))
  await expect(first).rejects.toThrow('cancelled')
  expect(textsOf(await second)).toEqual(['1'])
})

test('one whose builder leaves is built by the next that is still there', async () => {
  const sets = new ValueSets()
  const [builder, waiting, last] = [{}, {}, {}]
  async function* hanging(): AsyncGenerator<readonly string[]> {
    yield await new Promise<never>(() => {})
  }
  void heldSet(named('a'), holder(sets, builder), hanging)
  const left = heldSet(named('a'), holder(sets, waiting), () => [['2']])
  const stays = heldSet(named('a'), holder(sets, last), () => [['3']])
  sets.leave(waiting)
  sets.leave(builder)
  await expect(left).rejects.toMatchObject({ code: 'cancelled' })
  expect(textsOf(await stays)).toEqual(['3'])
})

test('what a builder brings that has left is not taken', async () => {
  const sets = new ValueSets()
  const owner = {}
  const [old, fresh] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()]
  async function* later(value: Promise<string>): AsyncGenerator<readonly string[]> {
    yield [await value]
  }
  const first = heldSet(named('a'), holder(sets, owner), () => later(old.promise))
  sets.leave(owner)
  const second = heldSet(named('a'), holder(sets, {}), () => later(fresh.promise))
  const third = heldSet(named('a'), holder(sets, {}), () => [['other']])
  old.resolve('old')
  await first
  fresh.resolve('new')
  expect((await Promise.all([second, third])).map(textsOf)).toEqual([['new'], ['new']])
})
