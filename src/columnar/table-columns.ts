/**
 * Files of one table that do not have the same columns: every part is brought to the table's columns, by name. A column that a file
 * lacks is NULL, and one that is the same for all of its rows (a partition folder's) is filled in.
 */
import { Data, DateDay, Field, Int64, makeData, Null, RecordBatch, Schema, Struct, Utf8 } from 'apache-arrow'
import { FormatError } from '../core/errors.ts'
import { readDateNanos } from './calendar.ts'
import type { Column, ColumnType } from './column-type.ts'
import { NO_TYPE } from './file-columns.ts'
import type { PlannedChunk } from './read-plan.ts'
import type { ColumnRange, Part, Slice } from './spans.ts'
import { keyOf } from './value-keys.ts'

export class TableColumns {
  readonly #chunk: PlannedChunk
  readonly #columns: readonly Column[]
  readonly #constants: ReadonlyMap<string, Data>
  #found: readonly Column[] | undefined

  constructor(chunk: PlannedChunk, columns: readonly Column[], spanRows: number) {
    this.#chunk = chunk
    this.#columns = columns
    this.#constants = new Map(
      columns.flatMap(({ name, type }) => {
        const value = this.#constant(name)
        return value === undefined || value === null ? [] : [[name, constantData(type, value, spanRows)] as const]
      }),
    )
  }

  /** A part with the table's columns. Throws `unsupported_type` where its file has a column of another type, or one that the table does not have. */
  part(part: Part): Part {
    // all parts of a file have its columns
    this.#check(part.columns?.() ?? [])
    const slices = (offset: number): AsyncGenerator<Slice> => this.#slices(part, offset)
    return { ...part, range: column => this.#range(column, part), decode: slices }
  }

  async *#slices(part: Part, offset: number): AsyncGenerator<Slice> {
    for await (const { rows, use } of part.decode(offset))
      yield { rows, use: consume => use(batch => consume(this.#whole(batch))) }
  }

  #check(found: readonly Column[]): void {
    if (this.#found === found) return
    const { name: file } = this.#chunk
    for (const { name, native } of found) {
      const expected = this.#columns.find(column => column.name === name)
      if (!expected) throw unknownColumn(file, name)
      if (native !== expected.native && native !== NO_TYPE) throw changedType(file, name, native, expected.native)
    }
    this.#found = found
  }

  #range(name: string, part: Part): ColumnRange | undefined {
    const column = this.#columns.find(each => each.name === name)
    if (this.#found?.some(each => each.name === name && each.native !== NO_TYPE)) return part.range?.(name)
    if (!column) return undefined
    const value = this.#constant(name)
    if (value === undefined || value === null) return { type: column.type, values: 'none' }
    const key = keyOf(value, column.type)
    return key && { type: column.type, values: { min: key, max: key } }
  }

  #whole(batch: RecordBatch): RecordBatch {
    const { fields } = batch.schema
    const same =
      fields.length === this.#columns.length && fields.every(({ name }, i) => name === this.#columns[i]!.name)
    if (same) return batch
    const rows = batch.numRows
    const children = this.#columns.map(({ name }) => {
      const index = fields.findIndex(field => field.name === name)
      if (index >= 0) return batch.data.children[index]!
      return this.#constants.get(name)?.slice(0, rows) ?? makeData({ type: new Null(), length: rows })
    })
    const schema = new Schema(this.#columns.map(({ name }, i) => new Field(name, children[i]!.type, true)))
    return new RecordBatch(schema, new Data(new Struct(schema.fields), 0, rows, 0, undefined, children))
  }

  /** Undefined where the file itself may hold the column. */
  #constant(name: string): string | null | undefined {
    const { values = {} } = this.#chunk
    return Object.hasOwn(values, name) ? values[name] : undefined
  }
}

/** The same value in every row. Columns of folders are strings, integers and dates. */
function constantData(type: ColumnType, text: string, rows: number): Data {
  switch (type.kind) {
    case 'integer':
      return makeData({ type: new Int64(), length: rows, data: new BigInt64Array(rows).fill(BigInt(text)) })
    case 'date': {
      const days = Number(readDateNanos(text)! / DAY_NANOS)
      return makeData({ type: new DateDay(), length: rows, data: new Int32Array(rows).fill(days) })
    }
    default: {
      const value = Buffer.from(text)
      return makeData({
        type: new Utf8(),
        length: rows,
        valueOffsets: Int32Array.from({ length: rows + 1 }, (_, row) => row * value.length),
        data: Buffer.alloc(rows * value.length, value),
      })
    }
  }
}

const DAY_NANOS = 86_400_000_000_000n

/** `expected`: what the table has by its other files. */
export function changedType(file: string, column: string, found: string, expected: string): FormatError {
  const where = `column ${JSON.stringify(column)} is ${found} in the staged file ${JSON.stringify(file)}`
  const advice = 'write its files with one type, or put those of each type into a table of their own'
  return new FormatError('unsupported_type', `${where} and ${expected} elsewhere in the table: ${advice}`)
}

function unknownColumn(file: string, column: string): FormatError {
  const problem = `the staged file ${JSON.stringify(file)} has a column ${JSON.stringify(column)}, which the table was not found to have`
  return new FormatError('unsupported_type', `${problem}: raise inspectFiles, so that it is looked for in more files`)
}
