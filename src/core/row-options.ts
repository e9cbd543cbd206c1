/** What a host says of the rows of a destination, and what becomes of it for a table. */
import { isAbsolute } from 'node:path'
import { z } from 'zod'
import type { Column, TableSchema } from '../columnar/column-type.ts'
import type { RowIds } from '../columnar/read-plan.ts'
import type { EventEnvelope, RowShape, ShapedColumn, TransformRef } from '../columnar/row-shape.ts'
import type { CloudEvents, SinkContext } from '../sinks/sink.ts'
import type { Problem } from './errors.ts'
import type { Unit } from './unit.ts'

/** Must stay as it is while a job is under way, as sums of rows and what consumers see depend on it. */
export interface RowOptions {
  /** Columns to send, in this order; `as` gives one another name. Keys, subjects and the like are still found under their own. Default: all. */
  readonly columns?: readonly (string | { readonly column: string; readonly as: string })[]
  /** `omit`: members whose value is null are left out. Default `keep`. */
  readonly nulls?: 'keep' | 'omit'
  /** Columns of integers, as JSON numbers or as strings; not those inside of nested values. Default `number`. */
  readonly integers?: 'number' | 'string'
  /** Columns of decimals, likewise. Default `number`; with a `transform` `string`, since JavaScript's numbers would lose digits. */
  readonly decimals?: 'number' | 'string'
  /**
   * A function that makes another row of each, in the lane: `(row) => object | null`; null leaves the row out, which counts as filtered.
   * What it throws, or returns beside these, refuses the row for good. It gets the columns above as `JSON.parse` has them, integers of
   * 64 bits and more as BigInt, and may return BigInt. It must be synchronous, and keep no state from row to row: rows come in any
   * order, in several threads, and again after a crash. It costs several times as much as all else (README).
   */
  readonly transform?: {
    /** A `file:` URL (`import.meta.resolve('./rows.js')`) or an absolute path. */
    readonly module: string
    readonly export: string
  }
  /** Rows are CloudEvents 1.0. Their `id` is the row's stable name. */
  readonly cloudEvents?: CloudEventOptions
}

export interface CloudEventOptions extends Omit<CloudEvents, 'mode'> {
  /**
   * `structured`: each row is the `data` of a JSON event. `binary`: rows stay as they are and the attributes go beside them, in the
   * destination's headers or attributes; only for sinks that can do so. Default `structured`.
   */
  readonly mode?: 'structured' | 'binary'
  /** A column whose value is the event's `subject`; structured mode only. Default: none. */
  readonly subject?: string
  /** A timestamp column whose value is the event's `time`; structured mode only. Default: none. */
  readonly time?: string
}

const name = z.string().min(1)

const schema: z.ZodType<RowOptions> = z.strictObject({
  columns: z
    .array(z.union([name, z.strictObject({ column: name, as: z.string() })], 'must be a name or { column, as }'))
    .min(1, 'must name at least one')
    .superRefine((columns, context) => {
      const seen = new Set<string>()
      columns.forEach((column, index) => {
        const as = typeof column === 'string' ? column : column.as
        if (seen.has(as))
          context.addIssue({ code: 'custom', path: [index], message: `${JSON.stringify(as)} is there twice` })
        seen.add(as)
      })
    })
    .exactOptional(),
  nulls: z.enum(['keep', 'omit']).exactOptional(),
  integers: z.enum(['number', 'string']).exactOptional(),
  decimals: z.enum(['number', 'string']).exactOptional(),
  transform: z
    .strictObject({
      module: name.refine(
        module => module.startsWith('file:') || isAbsolute(module),
        "must be a file: URL, such as import.meta.resolve('./rows.js'), or an absolute path",
      ),
      export: name,
    })
    .exactOptional(),
  cloudEvents: z
    .strictObject({
      mode: z.enum(['structured', 'binary']).exactOptional(),
      type: name,
      source: name,
      subject: name.exactOptional(),
      time: name.exactOptional(),
    })
    .refine(
      ({ mode, subject, time }) => mode !== 'binary' || (subject === undefined && time === undefined),
      'subject and time are for the structured mode',
    )
    .exactOptional(),
})

/** What is wrong with options that no table was compared with yet. */
export function rowOptionProblems(options: unknown, path: string): readonly Problem[] {
  const result = schema.safeParse(options)
  return (result.error?.issues ?? []).map(issue => ({ path: [path, ...issue.path].join('.'), message: issue.message }))
}

/** What keeps the options from fitting a table. */
export function rowProblems(options: RowOptions, { columns }: TableSchema): readonly string[] {
  const byName = new Map(columns.map(column => [column.name, column]))
  const { subject, time } = options.cloudEvents ?? {}
  const named = [...(options.columns ?? []).map(originOf), ...[subject, time].filter(name => name !== undefined)]
  const unknown = named.filter(name => !byName.has(name))
  if (unknown.length > 0)
    return unknown.map(name => `names the column ${JSON.stringify(name)}, which the table does not have`)
  const problems: string[] = []
  if (subject !== undefined && !SUBJECTS.has(byName.get(subject)!.type.kind))
    problems.push(
      `takes the subject of events from ${JSON.stringify(subject)}, which is neither text nor a whole number`,
    )
  if (time !== undefined && byName.get(time)!.type.kind !== 'timestamp')
    problems.push(`takes the time of events from ${JSON.stringify(time)}, which has no timestamps`)
  return problems
}

const SUBJECTS = new Set<Column['type']['kind']>(['string', 'integer', 'binary', 'date', 'time', 'timestamp'])

/** What units say of their rows, for a table that the options of their destination fit. */
export function rowsOf(
  { uniqueKey: columns, rows }: { readonly uniqueKey: readonly string[]; readonly rows: RowOptions },
  schema: TableSchema,
  jobId: string,
): Pick<Unit, 'uniqueKey' | 'shape'> {
  const uniqueKey = columns.length > 0 ? { table: schema.table, columns } : undefined
  const shape = shapeOf(rows, schema, uniqueKey ?? { job: jobId })
  return { ...(uniqueKey ? { uniqueKey } : {}), ...(shape ? { shape } : {}) }
}

/** As a sink is told of it. */
export function eventsOf({ cloudEvents }: RowOptions): Pick<SinkContext, 'cloudEvents'> {
  if (!cloudEvents) return {}
  const { mode = 'structured', type, source } = cloudEvents
  return { cloudEvents: { mode, type, source } }
}

/** For a table that the options fit. Undefined where rows are the table's own. */
export function shapeOf(options: RowOptions, table: TableSchema, ids: RowIds): RowShape | undefined {
  const { columns, nulls, integers, decimals, transform, cloudEvents } = options
  const isEvent = cloudEvents !== undefined && cloudEvents.mode !== 'binary'
  const isOwn =
    columns === undefined &&
    nulls !== 'omit' &&
    integers !== 'string' &&
    decimals !== 'string' &&
    !transform &&
    !isEvent
  if (isOwn) return undefined
  const byName = new Map(table.columns.map(column => [column.name, column]))
  const members = (columns ?? table.columns.map(({ name }) => name)).map(column => ({
    column: byName.get(originOf(column))!,
    name: typeof column === 'string' ? column : column.as,
  }))
  const bigints = members.filter(({ column: { type } }) => type.kind === 'integer' && type.bits > 53)
  const wanted = {
    integer: integers === 'string',
    decimal: (decimals ?? (transform ? 'string' : 'number')) === 'string',
  }
  const isQuoted = ({ type }: Column): boolean => {
    if (type.kind === 'decimal') return wanted.decimal
    return type.kind === 'integer' && (wanted.integer || (transform !== undefined && type.bits > 53))
  }
  const ref: TransformRef | undefined = transform && {
    ...transform,
    bigints: wanted.integer ? [] : bigints.map(({ name }) => name),
  }
  return {
    columns: members.map(({ column, name }) => ({ column: column.name, name, quoted: isQuoted(column) })),
    omitNulls: nulls === 'omit',
    ...(ref ? { transform: ref } : {}),
    ...(isEvent ? { event: envelopeOf(cloudEvents, byName, ids) } : {}),
  }
}

function envelopeOf(
  { type, source, subject, time }: CloudEventOptions,
  columns: ReadonlyMap<string, Column>,
  ids: RowIds,
): EventEnvelope {
  const attribute = (name: string, column: string | undefined): ShapedColumn[] =>
    column === undefined ? [] : [{ column, name, quoted: columns.get(column)!.type.kind === 'integer' }]
  return {
    attributes: { specversion: '1.0', type, source, datacontenttype: 'application/json' },
    columns: [...attribute('subject', subject), ...attribute('time', time)],
    ids,
  }
}

function originOf(column: NonNullable<RowOptions['columns']>[number]): string {
  return typeof column === 'string' ? column : column.column
}
