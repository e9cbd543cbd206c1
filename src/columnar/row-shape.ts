/**
 * What the rows of a destination look like, where that is not the table's own form: which columns, under which names, and what
 * surrounds them. Plain data: it crosses threads, and to other machines.
 */
import type { RowIds } from './read-plan.ts'

export interface RowShape {
  /** The members of a row, in order. */
  readonly columns: readonly ShapedColumn[]
  /** Members whose value would be `null` are left out. */
  readonly omitNulls: boolean
  readonly event?: EventEnvelope
  /** What makes another row of each. It is given the row as the members above have it. */
  readonly transform?: TransformRef
}

export interface ShapedColumn {
  /** In the table. */
  readonly column: string
  /** In the row. */
  readonly name: string
  /** A string in the row, although it is a number. Only for types whose text needs no escapes. */
  readonly quoted: boolean
}

/** Each row is the `data` of a CloudEvent (CloudEvents 1.0.2 and its JSON Event Format, section 3), whose `id` is the row's. */
export interface EventEnvelope {
  /** The attributes that are the same for all rows. */
  readonly attributes: Readonly<Record<string, string>>
  /** Those that are values of columns; left out where NULL. */
  readonly columns: readonly ShapedColumn[]
  readonly ids: RowIds
}

/** A function that a lane imports. */
export interface TransformRef {
  /** A `file:` URL or an absolute path. */
  readonly module: string
  readonly export: string
  /** Members that the function gets as BigInt: integers of more than 53 bits. They are quoted on their way there. */
  readonly bigints: readonly string[]
}

/** The JSON of a column's value, `null` included. */
export type JsonOf = (column: string) => string

/** Writes rows from the JSON of their values. */
export function rowWriter(
  shape: Pick<RowShape, 'columns' | 'omitNulls' | 'event'>,
): (json: JsonOf, id?: string) => string {
  const write = membersWriter(shape.columns, shape.omitNulls)
  const { event } = shape
  if (!event) return json => `{${write(json)}}`
  const wrap = eventWriter(event)
  return (json, id) => wrap(`{${write(json)}}`, json, id!)
}

/** Writes events around the JSON of their data. */
export function eventWriter(event: EventEnvelope): (data: string, json: JsonOf, id: string) => string {
  const { head, between } = eventTexts(event)
  const write = membersWriter(event.columns, true)
  return (data, json, id) => {
    const members = write(json)
    return `${head}${id}"${members === '' ? '' : `,${members}`}${between}${data}}`
  }
}

/** What stands in front of an event's id, and between the columns of its attributes and the data. An id needs no escapes. */
export function eventTexts({ attributes }: EventEnvelope): { readonly head: string; readonly between: string } {
  return { head: `${JSON.stringify(attributes).slice(0, -1)},"id":"`, between: ',"data":' }
}

function membersWriter(columns: readonly ShapedColumn[], omitNulls: boolean): (json: JsonOf) => string {
  const leads = columns.map(({ name }) => `${JSON.stringify(name)}:`)
  return json => {
    let text = ''
    columns.forEach(({ column, quoted }, index) => {
      const value = json(column)
      if (value === 'null' && omitNulls) return
      text += (text === '' ? '' : ',') + leads[index]! + (quoted && value !== 'null' ? `"${value}"` : value)
    })
    return text
  }
}
