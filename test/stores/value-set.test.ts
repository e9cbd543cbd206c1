import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite.ts'
import type { Store } from '../../src/stores/store.ts'
import { ValueSetPieces } from '../../src/stores/value-set.ts'
import { temporaryFolder } from './folder.ts'

it('every store gives any set the same name, that of its sorted netstrings', async () => {
  const stores = [memoryStore(), sqliteStore({ path: `${temporaryFolder()}/jobs.sqlite` })]
  // lone surrogates and NUL among them
  const member = fc.string({
    unit: fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
      fc.constantFrom('\0', '\ud800', '\udc00', ',', ':', '1'),
    ),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(member)), async pieces => {
      const members = new Set(pieces.flat().map(member => member.toWellFormed()))
      const ref = `sha256:${createHash('sha256').update(netstrings(members)).digest('hex')}`
      for (const store of stores) {
        expect(await store.putValueSet(stream(pieces))).toEqual({ ref, count: members.size })
        expect(new Set(await read(store, ref))).toEqual(members)
      }
    }),
    { numRuns: 10 },
  )
  for (const store of stores) await store.close()
})

it('long members make short pieces', () => {
  const members = Array.from({ length: 100 }, (_, index) => String(1_000 + index).padEnd(100_000, 'x'))
  const pieces = [...new ValueSetPieces().cut(members)]
  expect(pieces.map(piece => piece.length)).toEqual([...Array.from({ length: 33 }, () => 3), 1])
  expect(pieces.flat()).toEqual(members)
})

it('short members make pieces of 4,096', () => {
  const members = Array.from({ length: 10_000 }, (_, index) => String(10_000 + index))
  const pieces = [...new ValueSetPieces().cut(members)]
  expect(pieces.map(piece => piece.length)).toEqual([4_096, 4_096, 1_808])
})

function netstrings(members: ReadonlySet<string>): Buffer {
  const sorted = [...members].map(member => Buffer.from(member)).sort(Buffer.compare)
  return Buffer.concat(sorted.flatMap(bytes => [Buffer.from(`${bytes.length}:`), bytes, Buffer.from(',')]))
}

async function* stream(pieces: readonly (readonly string[])[]) {
  yield* pieces
}

async function read(store: Store, ref: string): Promise<readonly string[]> {
  const members: string[] = []
  for await (const piece of (await store.valueSet(ref))!.values()) members.push(...piece)
  return members
}
