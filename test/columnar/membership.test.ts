import { type Data, DataType, Field, Int32, Precision, Uint64 } from 'apache-arrow'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ColumnType } from '../../src/columnar/column-type.ts'
import { rowsInSet } from '../../src/columnar/membership.ts'
import { loadSet } from '../../src/columnar/value-sets.ts'
import { columnOf, dictionaries } from './arrow-column.ts'
import { type Kind, LEAVES } from './arrow-leaf.ts'
import { oracleText } from './oracle.ts'

/** The type by which a filter names the values of a column. */
function filterType(type: DataType): ColumnType | undefined {
  if (DataType.isDictionary(type)) return filterType(type.dictionary)
  if (DataType.isBool(type)) return { kind: 'boolean' }
  if (DataType.isInt(type)) return { kind: 'integer', bits: 64, signed: type.isSigned }
  if (DataType.isDecimal(type)) return { kind: 'decimal', precision: type.precision, scale: type.scale }
  if (DataType.isFloat(type))
    return type.precision === Precision.HALF
      ? undefined
      : { kind: 'float', bits: type.precision === Precision.SINGLE ? 32 : 64 }
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isUtf8View(type)) return { kind: 'string' }
  if (DataType.isDate(type)) return { kind: 'date' }
  if (DataType.isTime(type)) return { kind: 'time', unit: 'ns' }
  if (DataType.isTimestamp(type)) return { kind: 'timestamp', unit: 'ns', zone: false }
  if (/Binary/.test(String(type))) return { kind: 'binary' }
  return undefined
}

/** A filter's value cannot be half of a character, and no time of day is 24:00:00. */
function isListed(type: ColumnType, value: unknown, text: string | null): text is string {
  if (text === null) return false
  if (type.kind === 'string') return Buffer.from(value as Uint8Array).equals(Buffer.from(text))
  return type.kind !== 'time' || /^([01]\d|2[0-3]):/.test(text)
}

const KINDS: readonly Kind[] = LEAVES.filter(({ type }) => filterType(type) !== undefined)

async function expectRows(
  kind: Kind,
  values: readonly unknown[],
  data: Data,
  listed: ReadonlySet<string>,
  rows: Uint32Array,
) {
  const type = filterType(kind.type)!
  const set = await loadSet({ type, count: listed.size }, [[...listed]])
  const expected = [...rows].filter(row => {
    const text = oracleText(kind.type, values[row])
    return isListed(type, values[row], text) && listed.has(text)
  })
  expect([...rowsInSet(set, type, new Field('c', kind.type), data, rows)]).toEqual(expected)
}

test.each(KINDS.map(kind => [String(kind.type), kind] as const))(
  'rows of %s are found by their text',
  async (_, kind) => {
    const kinds = fc.constantFrom(kind, dictionaries(kind, new Int32()), dictionaries(kind, new Uint64()))
    const some = fc.infiniteStream(fc.boolean())
    await fc.assert(
      fc.asyncProperty(
        columnOf(kinds, 1),
        columnOf(fc.constant(kind)),
        fc.nat(5),
        some,
        async (column, others, from, picks) => {
          const type = filterType(kind.type)!
          const picked = column.values.filter(() => picks.next().value)
          const texts = [...picked, ...others.values].map(value => [value, oracleText(kind.type, value)] as const)
          const listed = new Set(texts.flatMap(([value, text]) => (isListed(type, value, text) ? [text] : [])))
          const start = Math.min(from, column.values.length)
          const values = column.values.slice(start)
          const data = column.kind.build(column.values).slice(start, values.length)
          const rows = Uint32Array.from(values.keys()).filter(() => picks.next().value)
          await expectRows(column.kind, values, data, listed, rows)
        },
      ),
      { numRuns: 40 },
    )
  },
)

test('rows are found in more than one block', async () => {
  const kind = KINDS.find(({ type }) => DataType.isInt(type) && type.bitWidth === 64 && type.isSigned)!
  const values = Array.from({ length: 3000 }, (_, i) => (i % 7 === 0 ? null : BigInt(i)))
  const listed = new Set(Array.from({ length: 1000 }, (_, i) => String(3 * i)))
  await expectRows(kind, values, kind.build(values), listed, Uint32Array.from(values.keys()))
})
