/** `column IN (values)`: which rows of record batches are among a million or ten million addresses. One thread, no file, no JSON. */
import { Field, makeData, makeVector, RecordBatch, Schema, Struct, Utf8, vectorFromArray } from 'apache-arrow'
import { compilePredicate } from '../../src/columnar/selection.ts'
import { loadSet } from '../../src/columnar/value-sets.ts'
import { MOST_SPAN_ROWS } from '../../src/core/plan.ts'
import { measured, print, settings } from '../child.ts'

export interface FilterSettings {
  readonly values: number
  readonly probes: number
}

const PIECE_VALUES = 10_000

const { values, probes } = settings<FilterSettings>()
const { select } = await compilePredicate(
  { filter: { column: 'address', type: { kind: 'string' }, values: { count: values, ref: 'addresses' } } },
  set => loadSet(set, addresses()),
)
const batches = Array.from({ length: probes / MOST_SPAN_ROWS }, (_, number) => probeBatch(number))

probe(batches)
print(await measured(async () => probe(batches)))

/** Every other row is one of the values. */
function probe(batches: readonly RecordBatch[]): number {
  let [rows, selected] = [0, 0]
  for (const batch of batches) {
    rows += batch.numRows
    selected += select(batch, 'bench')?.length ?? batch.numRows
  }
  if (selected !== rows / 2) throw new Error(`${selected} of ${rows} rows were selected`)
  return rows
}

/** Addresses from all over the set: a processor's cache holds few of them. */
function probeBatch(number: number): RecordBatch {
  const wanted = Array.from({ length: MOST_SPAN_ROWS }, (_, row) => {
    const index = (number * MOST_SPAN_ROWS + row) * 7_919
    return address(row % 2 === 0 ? index % values : values + index)
  })
  const data = vectorFromArray(wanted, new Utf8()).data[0]!
  const schema = new Schema([new Field('address', new Utf8(), true)])
  const struct = makeData({ type: new Struct(schema.fields), length: wanted.length, nullCount: 0, children: [data] })
  return new RecordBatch(schema, makeVector(struct).data[0]!)
}

/** In pieces, as they come from a store: nothing has them all as strings. */
async function* addresses(): AsyncGenerator<readonly string[]> {
  for (let from = 0; from < values; from += PIECE_VALUES)
    yield Array.from({ length: Math.min(PIECE_VALUES, values - from) }, (_, index) => address(from + index))
}

/** 42 characters, all but the first eight digits (which keep it apart from all others) a hash of its number. */
function address(index: number): string {
  let text = `0x${index.toString(16).padStart(8, '0')}`
  for (let word = 1; word <= 4; word++) {
    const hash = Math.imul(index + word, 0x9e3779b1) ^ (index >>> word)
    text += (hash >>> 0).toString(16).padStart(8, '0')
  }
  return text
}
