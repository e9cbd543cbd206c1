/**
 * Checking a request against the catalogue and the destinations. Every broken rule is found before anything is said, each
 * with its path in the request.
 */
import type { Column, TableSchema } from '../columnar/column-type.ts'
import { readBound, readLiteral, type Scalar } from '../columnar/literal.ts'
import type { ValueList } from '../columnar/predicate.ts'
import type { Source, StageFilter, StageRequest } from '../sources/source.ts'
import type { Store } from '../stores/store.ts'
import { closest } from './close-names.ts'
import { type DestinationName, findNamed, nameOf } from './destination-name.ts'
import { type Problem, RequestError, StoreError } from './errors.ts'
import { hashUuid } from './hash-uuid.ts'
import type { Settings } from './options.ts'
import { type BackfillRequest, backfillRequestSchema } from './request.ts'
import { type RowOptions, rowProblems } from './row-options.ts'
import type { DestinationRef } from './unit.ts'

export interface Resolved {
  readonly request: BackfillRequest
  readonly schema: TableSchema
  readonly window: StageRequest['window']
  readonly filter?: StageFilter
  readonly destinations: readonly DestinationRef[]
}

export interface Surroundings {
  readonly source: Source
  readonly store: Pick<Store, 'valueSet'>
  /** The registered sinks. */
  readonly sinks: readonly RegisteredSink[]
}

interface RegisteredSink extends DestinationName {
  readonly staticEgress?: boolean | undefined
  readonly uniqueKey?: readonly string[]
  readonly rows?: RowOptions
}

/** As requests are checked against them. */
export function registeredSinks({ destinations }: Pick<Settings, 'destinations'>): readonly RegisteredSink[] {
  return [...destinations.values()].map(({ sink: { type, name, staticEgress }, delivery: { uniqueKey, rows } }) => ({
    type,
    name,
    staticEgress,
    uniqueKey,
    rows,
  }))
}

/** Rejects with a `RequestError` that lists all problems, or with what the source or the store failed with. */
export async function resolveRequest(
  input: unknown,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<Resolved> {
  const problems: Problem[] = []
  const request = parse(input, problems)
  const destinations = resolveDestinations(request.destinations ?? [], surroundings.sinks, problems)
  if (request.static_egress_ip) checkStaticEgress(destinations, surroundings.sinks, problems)
  const schema =
    request.table === undefined ? undefined : await resolveTable(request.table, surroundings.source, problems, signal)
  if (schema) checkColumns(destinations, surroundings.sinks, schema, problems)
  const window = schema && request.backfill_window && resolveWindow(request.backfill_window, schema, problems)
  const filter = schema && request.filter && (await resolveFilter(request.filter, schema, surroundings.store, problems))
  if (problems.length > 0 || !schema || !window) throw new RequestError(problems)
  return { request: request as BackfillRequest, schema, window, destinations, ...(filter ? { filter } : {}) }
}

/** Where the request as a whole is malformed, its well-formed parts are still worth checking. */
function parse(input: unknown, problems: Problem[]): Partial<BackfillRequest> {
  const whole = backfillRequestSchema.safeParse(input)
  if (whole.success) return whole.data
  problems.push(
    ...whole.error.issues
      .slice(0, MOST_PROBLEMS)
      .map(issue => ({ path: formatPath(issue.path), message: issue.message })),
  )
  const parts = Object.entries(backfillRequestSchema.shape).map(([key, schema]) => {
    const part = schema.safeParse((input as Record<string, unknown> | null | undefined)?.[key])
    return [key, part.success ? part.data : undefined]
  })
  return Object.fromEntries(parts)
}

/** `filter.values[3]` */
export function formatPath(path: readonly PropertyKey[]): string {
  const text = path.map(part => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
  return text.replace(/^\./, '') || '(request)'
}

function resolveDestinations(
  destinations: BackfillRequest['destinations'],
  sinks: Surroundings['sinks'],
  problems: Problem[],
): DestinationRef[] {
  const known = sinks.map(nameOf)
  return destinations.map((destination, index) => {
    const { type, name } = destination
    if (!known.includes(nameOf(destination))) {
      const message = `unknown destination ${nameOf(destination)}; ${thereAre(known, nameOf(destination))}`
      problems.push({ path: `destinations[${index}]`, message })
    }
    return { type, name, uid: destinationUid(type, name) }
  })
}

/** All of them need one: a receiver that lets in a single address would turn the rows away. */
function checkStaticEgress(
  destinations: readonly DestinationRef[],
  sinks: readonly RegisteredSink[],
  problems: Problem[],
): void {
  for (const destination of destinations) {
    const sink = findNamed(sinks, destination)
    if (sink === undefined || sink.staticEgress) continue
    const message = `${nameOf(destination)} has no static egress address configured`
    problems.push({ path: 'static_egress_ip', message })
  }
}

/** What the registration of a destination says of columns has to fit the table. */
function checkColumns(
  destinations: readonly DestinationRef[],
  sinks: readonly RegisteredSink[],
  schema: TableSchema,
  problems: Problem[],
): void {
  const known = new Set(schema.columns.map(({ name }) => name))
  destinations.forEach((destination, index) => {
    const { uniqueKey = [], rows = {} } = findNamed(sinks, destination) ?? {}
    for (const problem of rowProblems(rows, schema))
      problems.push({ path: `destinations[${index}]`, message: `${nameOf(destination)} ${problem}` })
    for (const column of uniqueKey.filter(column => !known.has(column))) {
      const message = `the unique key of ${nameOf(destination)} names ${JSON.stringify(column)}, which the table does not have`
      problems.push({ path: `destinations[${index}]`, message })
    }
  })
}

/** The same in every job, process and version. */
export function destinationUid(type: string, name: string): string {
  return hashUuid(`${type}\0${name}`)
}

async function resolveTable(
  table: string,
  source: Source,
  problems: Problem[],
  signal: AbortSignal,
): Promise<TableSchema | undefined> {
  const tables = await source.tables()
  if (tables.includes(table)) return source.describe(table, signal)
  problems.push({ path: 'table', message: `unknown table ${table}; ${thereAre(tables, table)}` })
  return undefined
}

function resolveWindow(
  requested: BackfillRequest['backfill_window'],
  schema: TableSchema,
  problems: Problem[],
): StageRequest['window'] | undefined {
  const { partition_key: key = schema.partitionKeys[0], start, end } = requested
  const column = schema.columns.find(each => each.name === key)
  if (!column || !schema.partitionKeys.includes(column.name)) {
    const message = `${key} is not a partition key of ${schema.table}; ${thereAre(schema.partitionKeys)}`
    problems.push({ path: 'backfill_window.partition_key', message })
    return undefined
  }
  const bounds = { start: readBound(start, column.type), end: readBound(end, column.type) }
  for (const which of ['start', 'end'] as const) {
    const bound = bounds[which]
    if ('problem' in bound)
      problems.push({
        path: `backfill_window.${which}`,
        message: `${bound.problem} (${column.name} is ${column.native})`,
      })
  }
  if ('problem' in bounds.start || 'problem' in bounds.end) return undefined
  if (bounds.start.order >= bounds.end.order) {
    problems.push({
      path: 'backfill_window.end',
      message: `must be after start: ${start} to ${end} is an empty window`,
    })
  }
  return { column: column.name, type: column.type, start: bounds.start.text, end: bounds.end.text }
}

type RequestFilter = NonNullable<BackfillRequest['filter']>

async function resolveFilter(
  filter: RequestFilter,
  schema: TableSchema,
  store: Surroundings['store'],
  problems: Problem[],
): Promise<StageFilter | undefined> {
  const column = schema.columns.find(each => each.name === filter.column)
  if (!column) {
    const names = schema.columns.map(each => each.name)
    problems.push({
      path: 'filter.column',
      message: `unknown column ${filter.column} in ${schema.table}; ${thereAre(names, filter.column)}`,
    })
    return undefined
  }
  return filter.values
    ? inlineFilter(filter.values, column, problems)
    : storedFilter(filter.values_ref!, column, store, problems)
}

function inlineFilter(values: readonly Scalar[], column: Column, problems: Problem[]): StageFilter {
  const report = problemReporter('filter.values', column, problems)
  const inline = values.map((value, index) => report(readLiteral(value, column.type), index))
  const list: ValueList = { count: inline.length, inline }
  return {
    column: column.name,
    type: column.type,
    list,
    async *values() {
      yield inline
    },
  }
}

/** Every value is read once here, so that a bad one is told at creation, and again whenever they are asked for. */
async function storedFilter(
  ref: string,
  column: Column,
  store: Surroundings['store'],
  problems: Problem[],
): Promise<StageFilter | undefined> {
  const set = await store.valueSet(ref)
  if (!set) {
    problems.push({ path: 'filter.values_ref', message: `there is no value set ${ref}: upload it first` })
    return undefined
  }
  if (column.type.kind !== 'string') {
    const report = problemReporter('filter.values_ref', column, problems)
    let index = 0
    for await (const piece of set.values()) for (const value of piece) report(readLiteral(value, column.type), index++)
  }
  return {
    column: column.name,
    type: column.type,
    list: { count: set.count, ref },
    values: () => storedValues(store, ref, column.type),
  }
}

/** The members of a value set as canonical text of the type that they are compared with. */
export async function* storedValues(
  store: Surroundings['store'],
  ref: string,
  type: Column['type'],
): AsyncGenerator<readonly string[]> {
  const set = await store.valueSet(ref)
  if (!set) throw new StoreError(`the value set ${ref} is gone from the store`)
  for await (const piece of set.values()) {
    yield piece.map(value => readLiteral(value, type)).filter(literal => typeof literal === 'string')
  }
}

const MOST_PROBLEMS = 20

/** Passes readable values through, and notes the first unreadable ones with a count of the rest. */
function problemReporter(
  path: string,
  column: Column,
  problems: Problem[],
): (literal: ReturnType<typeof readLiteral>, index: number) => string {
  let unreadable = 0
  return (literal, index) => {
    if (typeof literal === 'string') return literal
    unreadable++
    if (unreadable <= MOST_PROBLEMS) {
      problems.push({ path: `${path}[${index}]`, message: `${literal.problem} (${column.name} is ${column.native})` })
    } else if (unreadable === MOST_PROBLEMS + 1) problems.push({ path, message: 'more values like these' })
    return ''
  }
}

const MOST_NAMES = 30

/** Of more names than anybody would read those that come near what was `wanted` are among the first. */
function thereAre(names: readonly string[], wanted = ''): string {
  if (names.length === 0) return 'there are none'
  const isLong = names.length > MOST_NAMES
  const ordered = isLong ? [...new Set([...closest(wanted, names), ...names])] : names
  const more = isLong ? ` and ${names.length - MOST_NAMES} more` : ''
  return `there ${names.length === 1 ? 'is' : 'are'} ${ordered.slice(0, MOST_NAMES).join(', ')}${more}`
}
