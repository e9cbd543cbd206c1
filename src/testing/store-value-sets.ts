/** Tests of value sets. */
import assert from 'node:assert/strict'
import type { Store } from '../stores/store.ts'
import { collect, type StoreCase } from './store-driver.ts'

export const valueSetCases: readonly StoreCase[] = [
  [
    'a value set is named by the SHA-256 of its members as netstrings, and read back sorted',
    async store => {
      // printf "0:,1:a,2:bb," | sha256sum
      assert.deepEqual(await put(store, ['bb', 'a', '']), {
        ref: 'sha256:84d5e17a3ba6c7aa7f5b8cdf70782d7d8a9da67ec555edd5af0626b6be751e87',
        count: 3,
      })
      assert.deepEqual(await read(store, 'sha256:84d5e17a3ba6c7aa7f5b8cdf70782d7d8a9da67ec555edd5af0626b6be751e87'), [
        '',
        'a',
        'bb',
      ])
    },
  ],

  [
    'the empty set is a set',
    async store => {
      const ref = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
      assert.deepEqual(await put(store), { ref, count: 0 })
      assert.deepEqual(await read(store, ref), [])
    },
  ],

  [
    'order, repetition and the cut into pieces do not matter',
    async store => {
      const first = await put(store, ['c', 'a'], ['b'])
      assert.equal(first.count, 3)
      assert.deepEqual(await put(store, ['a', 'b', 'a'], [], ['c', 'c']), first)
      assert.deepEqual(await read(store, first.ref), ['a', 'b', 'c'])
    },
  ],

  [
    'other members have another name, however they are cut',
    async store => {
      const sets = [
        ['a\nb'],
        ['a', 'b'],
        ['ab'],
        ['a,1:b'],
        ['1:a,1:b,'],
        ['a', 'b', ''],
        ['A', 'b'],
        ['é'],
        ['e\u0301'],
      ]
      const refs = await Promise.all(sets.map(async members => (await put(store, members)).ref))
      assert.equal(new Set(refs).size, sets.length)
      for (const [index, members] of sets.entries())
        assert.deepEqual(new Set(await read(store, refs[index]!)), new Set(members))
    },
  ],

  [
    'members are sorted by their UTF-8 bytes, and any character survives',
    async store => {
      const members = ['', '\n', ' ', '"\\', '1', '10', '2', 'Z', 'a', 'é', '\u2028', '\uff5e', '😀']
      const { ref } = await put(store, members.toReversed())
      assert.deepEqual(await read(store, ref), members)
    },
  ],

  [
    '20,000 members come back whole, in pieces',
    async store => {
      const members = Array.from({ length: 20_000 }, (_, index) => `0x${(index * 7919).toString(16).padStart(64, '0')}`)
      const shuffled = members.toSorted((a, b) => (a.slice(-3) + a < b.slice(-3) + b ? -1 : 1))
      const { ref, count } = await put(store, shuffled.slice(0, 12_000), shuffled.slice(11_000))
      assert.equal(count, 20_000)
      const set = await store.valueSet(ref)
      assert.equal(set?.count, 20_000)
      for (const _ of ['once', 'and again']) {
        const pieces: (readonly string[])[] = await collect(set.values())
        assert(pieces.length > 1, 'all members came in one piece')
        assert.deepEqual(pieces.flat(), members)
      }
    },
  ],

  [
    'the same set may be put at the same time',
    async store => {
      const sets = await Promise.all(Array.from({ length: 4 }, () => put(store, ['x', 'y'])))
      assert.equal(new Set(sets.map(set => set.ref)).size, 1)
      assert.deepEqual(await read(store, sets[0]!.ref), ['x', 'y'])
    },
  ],

  [
    'an input that fails stores nothing, and its error is the answer',
    async store => {
      const { ref } = await put(store, ['known'])
      const broken = new Error('the upload broke off')
      async function* values() {
        yield ['a', 'b']
        throw broken
      }
      await assert.rejects(store.putValueSet(values()), error => error === broken)
      assert.deepEqual(await read(store, ref), ['known'])
      const { count } = await put(store, ['c'])
      assert.equal(count, 1, 'members of the broken upload are in the next one')
    },
  ],

  [
    'an unknown value set is undefined',
    async store => {
      assert.equal(await store.valueSet(`sha256:${'0'.repeat(64)}`), undefined)
    },
  ],
]

async function put(store: Store, ...pieces: readonly (readonly string[])[]) {
  async function* values() {
    yield* pieces
  }
  return store.putValueSet(values())
}

async function read(store: Store, ref: string): Promise<readonly string[]> {
  const set = await store.valueSet(ref)
  assert(set, `there is no value set ${ref}`)
  assert.equal(set.ref, ref)
  return (await collect(set.values())).flat()
}
