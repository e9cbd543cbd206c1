/** Columns that the kernel does not read natively, made into ones that it does. */
import type { Data, Field } from 'apache-arrow'
import { FormatError } from '../core/errors.ts'
import { readTimestamp } from './calendar.ts'
import { GrowingBytes } from './growing-bytes.ts'
import type { ColumnPlan } from './kernel-columns.ts'
import { KIND_FRAGMENT, KIND_TIMESTAMP } from './kernel-layout.ts'
import type { Scratch } from './kernel-scratch.ts'
import { type ColumnRenderer, renderColumn } from './render.ts'

/** A top-level column and the rows of it that are wanted, ascending; undefined: all. */
export interface WantedRows {
  readonly field: Field
  readonly data: Data
  readonly selected: Uint32Array | undefined
}

/** The rows' JSON, or their text; NULL where there is none. */
export function planFragments(scratch: Scratch, wanted: WantedRows, form: keyof ColumnRenderer): ColumnPlan {
  const { field, data } = wanted
  const renderer = renderColumn(field, data)
  const text = new GrowingBytes()
  const offsets = new Uint32Array(data.length + 1)
  const valid = new Uint8Array((data.length + 7) >> 3)
  let next = 0
  forEachRow(wanted, row => {
    offsets.fill(text.length, next, row + 1)
    next = row + 1
    const value = renderer[form](row)
    // a string that says so has quotes in its JSON
    if (value === null || (form === 'json' && value === 'null')) return
    valid[row >> 3]! |= 1 << (row & 7)
    text.appendText(value)
  })
  offsets.fill(text.length, next)
  return {
    kind: KIND_FRAGMENT,
    nulls: { place: scratch.place(valid), bit: 0 },
    values: scratch.place(text.bytes.subarray(0, text.length)),
    offsets: scratch.place(offsets),
  }
}

/** A column that is no plain timestamp, as milliseconds since 1970; -1 where the value is out of their reach. */
export function planMilliseconds(scratch: Scratch, wanted: WantedRows): ColumnPlan {
  const { field, data } = wanted
  const { text } = renderColumn(field, data)
  const millis = new BigInt64Array(data.length)
  const valid = new Uint8Array((data.length + 7) >> 3)
  forEachRow(wanted, row => {
    const value = text(row)
    if (value === null) return
    valid[row >> 3]! |= 1 << (row & 7)
    const nanos = readTimestamp(value)
    if (nanos === undefined) throw noTimestamps(field.name)
    const whole = nanos / MILLI_NANOS
    millis[row] = nanos < 0n || whole > MOST_MILLIS ? -1n : whole
  })
  const nulls = { place: scratch.place(valid), bit: 0 }
  return { kind: KIND_TIMESTAMP, parameter: MILLI_DIGITS, nulls, values: scratch.place(millis) }
}

const MILLI_NANOS = 1_000_000n
const MILLI_DIGITS = 3
const MOST_MILLIS = 2n ** 63n - 1n

function noTimestamps(column: string): FormatError {
  return new FormatError(
    'unsupported_type',
    `column ${JSON.stringify(column)} has no timestamps, which the records are to have`,
  )
}

function forEachRow({ data, selected }: WantedRows, use: (row: number) => void): void {
  if (selected) for (const row of selected) use(row)
  else for (let row = 0; row < data.length; row++) use(row)
}
