/** Arrow columns for tests of types that have children, on top of those of `arrow-leaf.ts`. */
import {
  DataType,
  DenseUnion,
  Dictionary,
  Field,
  FixedSizeList,
  type Int,
  Int8,
  Int16,
  Int32,
  Int64,
  LargeList,
  List,
  Map_,
  makeData,
  SparseUnion,
  Struct,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Vector,
} from 'apache-arrow'
import fc from 'fast-check'
import { accumulate, integers, type Kind, LEAVES, strings, validity } from './arrow-leaf.ts'
import type { UnionValue } from './oracle.ts'

/** What a column is built from, NULL being null. */
export interface TestColumn {
  readonly kind: Kind
  readonly values: readonly unknown[]
}

export function columnOf(kind: fc.Arbitrary<Kind>, minLength = 0, maxLength = 24): fc.Arbitrary<TestColumn> {
  return kind.chain(chosen =>
    fc.array(fc.option(chosen.value, { nil: null, freq: 4 }), { minLength, maxLength }).map(values => ({
      kind: chosen,
      values,
      [fc.toStringMethod]: () => `${chosen.type}: ${fc.stringify(values)}`,
    })),
  )
}

function item(kind: Kind, name = 'item'): Field {
  return new Field(name, kind.type, true)
}

/** A NULL list has the items of the list before it. */
function withGarbage<T>(values: readonly unknown[], first: T): T[] {
  let last = first
  return values.map(value => {
    if (value !== null) last = value as T
    return last
  })
}

export function lists(child: Kind, wide = false): Kind {
  const type = wide ? new LargeList(item(child)) : new List(item(child))
  return {
    type,
    value: fc.array(fc.option(child.value), { maxLength: 4 }),
    build(values) {
      const all = withGarbage<unknown[]>(values, [null])
      const ends = accumulate(1, all)
      const valueOffsets = wide ? BigInt64Array.from(ends, BigInt) : Int32Array.from(ends)
      return makeData({
        type,
        valueOffsets,
        child: child.build([null, ...all.flat(1)]),
        ...validity(values),
      } as Parameters<typeof makeData>[0])
    },
  }
}

export function fixedLists(child: Kind, size: number): Kind {
  const type = new FixedSizeList(size, item(child))
  return {
    type,
    value: fc.array(fc.option(child.value), { minLength: size, maxLength: size }),
    build(values) {
      const all = withGarbage<unknown[]>(values, Array(size).fill(null))
      return makeData({ type, child: child.build(all.flat(1)), ...validity(values) })
    },
  }
}

export function structs(...members: readonly Kind[]): Kind {
  const type = new Struct(members.map((member, i) => item(member, ['a', 'b"\\ü', ''][i] ?? `f${i}`)))
  return {
    type,
    value: fc.tuple(...members.map(member => fc.option(member.value))),
    build(values) {
      const all = withGarbage<unknown[]>(
        values,
        members.map(() => null),
      )
      const children = members.map((member, i) => member.build(all.map(value => value[i])))
      return makeData({ type, children, ...validity(values) })
    },
  }
}

export function maps(key: Kind, value: Kind): Kind {
  const entries = new Struct<{ key: DataType; value: DataType }>([
    new Field('key', key.type, false),
    item(value, 'value'),
  ])
  const type = new Map_<DataType, DataType>(new Field('entries', entries, false))
  return {
    type,
    value: fc.array(fc.tuple(key.value, fc.option(value.value)), { maxLength: 4 }),
    build(values) {
      const all = withGarbage<[unknown, unknown][]>(values, [])
      const pairs = all.flat(1)
      const children = [key.build(pairs.map(pair => pair[0])), value.build(pairs.map(pair => pair[1]))]
      const child = makeData({ type: entries, length: pairs.length, children })
      return makeData({ type, valueOffsets: Int32Array.from(accumulate(0, all)), child, ...validity(values) })
    },
  }
}

/** Unions have no NULLs of their own: a NULL is one of the first member. Type ids are not the positions of the members. */
function unions(dense: boolean, ...members: readonly Kind[]): Kind {
  const ids = members.map((_, i) => 5 + i * 3)
  const fields = members.map((member, i) => item(member, `m${i}`))
  const type = dense ? new DenseUnion(ids, fields) : new SparseUnion(ids, fields)
  const value = fc.oneof(
    ...members.map((member, index) => fc.option(member.value).map(inner => ({ member: index, value: inner }))),
  )
  return {
    type,
    value,
    build(values) {
      const all = values.map(item => (item as UnionValue | null) ?? { member: 0, value: null })
      const typeIds = Int8Array.from(all, ({ member }) => ids[member]!)
      const length = values.length
      if (!dense) {
        const children = members.map((member, i) =>
          member.build(all.map(item => (item.member === i ? item.value : null))),
        )
        return makeData({ type: type as SparseUnion, typeIds, children, length } as Parameters<typeof makeData>[0])
      }
      const parts = members.map((_, i) => all.filter(item => item.member === i))
      const valueOffsets = Int32Array.from(all, item => parts[item.member]!.indexOf(item))
      const children = members.map((member, i) => member.build(parts[i]!.map(item => item.value)))
      return makeData({ type, typeIds, valueOffsets, children, length } as Parameters<typeof makeData>[0])
    },
  }
}

/** In two pieces, with a NULL among the values, entries that no row uses, and indices out of range under NULLs. */
export function dictionaries(child: Kind, index: Int): Kind {
  const type = new Dictionary(child.type, index as Int32)
  return {
    type,
    value: child.value,
    build(values) {
      const entries = [null, ...values.filter(value => value !== null)]
      const half = Math.ceil(entries.length / 2)
      const pieces = [entries.slice(0, half), entries.slice(half)].filter(piece => piece.length > 0)
      const dictionary = new Vector(pieces.map(piece => child.build(piece)))
      // a NULL row is a NULL index where the position is even, and the index of the NULL entry where it is odd
      const isNullIndex = (value: unknown, row: number): boolean => value === null && row % 2 === 0
      const indices = values.map((value, row) =>
        isNullIndex(value, row) ? null : BigInt(entries.findIndex(entry => Object.is(entry, value))),
      )
      const { values: data } = integers(index, index.bitWidth, index.isSigned).build(indices)
      return makeData({ type, data, dictionary, ...validity(indices) } as Parameters<typeof makeData>[0])
    },
  }
}

const INDICES = [
  new Int8(),
  new Int16(),
  new Int32(),
  new Int64(),
  new Uint8(),
  new Uint16(),
  new Uint32(),
  new Uint64(),
]

/** Any type, containers up to `depth` deep. */
export function anyKind(depth: number): fc.Arbitrary<Kind> {
  const leaf = fc.constantFrom(...LEAVES)
  if (depth === 0) return leaf
  const inner = anyKind(depth - 1)
  const keys = fc.constantFrom(
    strings,
    dictionaries(strings, new Int16()),
    ...LEAVES.filter(({ type }) => !DataType.isNull(type)),
  )
  return fc.oneof(
    leaf,
    fc.tuple(inner, fc.boolean()).map(([child, wide]) => lists(child, wide)),
    fc.tuple(inner, fc.integer({ min: 0, max: 3 })).map(([child, size]) => fixedLists(child, size)),
    fc.array(inner, { maxLength: 3 }).map(members => structs(...members)),
    fc.tuple(keys, inner).map(([key, value]) => maps(key, value)),
    fc.tuple(fc.boolean(), inner, inner).map(([dense, ...members]) => unions(dense, ...members)),
    fc.tuple(leaf, fc.constantFrom(...INDICES)).map(([child, index]) => dictionaries(child, index)),
  )
}
