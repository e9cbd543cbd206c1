/** What the demo backfills, and where to. */
import type { BackfillRequest } from '../../core/request.ts'
import { fileSink } from '../../sinks/file.ts'
import type { Sink } from '../../sinks/sink.ts'
import type { DuckdbSourceOptions } from '../../sources/duckdb.ts'
import { quoteIdentifier, quoteLiteral } from '../../sources/sql.ts'
import { FLIGHTS, TRANSFERS, TRANSFERS_RELATION, USDC, type Warehouse } from './warehouse.ts'

export const TOPIC = 'millrace-demo'

export interface DemoFlags {
  readonly all?: boolean
  readonly kafka?: string
  readonly rows: number
  readonly dir: string
}

export interface DemoRun {
  readonly request: BackfillRequest
  readonly catalogue: DuckdbSourceOptions['tables']
  readonly sink: Sink
  /** For people. */
  readonly destination: string
  /** The rows that have to arrive, as a query of the warehouse. */
  readonly sql: string
}

/** A window of a table with a filter, and the column that rows are keyed by. */
interface Sample {
  readonly table: string
  readonly relation: string
  readonly key: string
  readonly partitionKey: string
  readonly start: string
  readonly end: string
  readonly column: string
  readonly values: readonly string[]
}

const flights: Sample = {
  table: FLIGHTS,
  relation: FLIGHTS,
  key: 'origin',
  partitionKey: 'date',
  start: '2001-01-01T00:00:00',
  end: '2001-07-01T00:00:00',
  column: 'origin',
  values: ['SFO', 'OAK', 'SJC'],
}

const transfers: Sample = {
  table: TRANSFERS,
  relation: TRANSFERS_RELATION,
  key: 'token_address',
  partitionKey: 'block_timestamp',
  start: '2026-03-01T00:00:00',
  end: '2026-04-01T00:00:00',
  column: 'token_address',
  values: [USDC],
}

function demoCatalogue(warehouse: Warehouse): DuckdbSourceOptions['tables'] {
  const tables = { [TRANSFERS]: { relation: TRANSFERS_RELATION, partitionKeys: [transfers.partitionKey] } }
  return warehouse.flights ? { ...tables, [FLIGHTS]: { partitionKeys: [flights.partitionKey] } } : tables
}

export async function demoRun(
  flags: { all?: boolean; kafka?: string },
  warehouse: Warehouse,
  out: string,
): Promise<DemoRun> {
  const sample = warehouse.flights ? flights : transfers
  const { table, partitionKey, column, values } = sample
  const [start, end] = flags.all ? ['1900-01-01T00:00:00', '2100-01-01T00:00:00'] : [sample.start, sample.end]
  const sink =
    flags.kafka === undefined ? fileSink({ name: 'demo', dir: out }) : await demoKafkaSink(flags.kafka, sample.key)
  return {
    request: {
      job_name: 'millrace demo',
      table,
      backfill_window: { partition_key: partitionKey, start, end },
      ...(flags.all ? {} : { filter: { column, values: [...values] } }),
      destinations: [{ type: sink.type, name: sink.name }],
    },
    catalogue: demoCatalogue(warehouse),
    sink,
    destination: flags.kafka === undefined ? out : `topic ${TOPIC} at ${flags.kafka}`,
    sql: selectSql(sample, start, end, flags.all ? undefined : values),
  }
}

function selectSql(
  { relation, partitionKey, column }: Sample,
  start: string,
  end: string,
  values: readonly string[] | undefined,
): string {
  const key = quoteIdentifier(partitionKey)
  const filter = values ? ` AND ${quoteIdentifier(column)} IN (${values.map(quoteLiteral).join(', ')})` : ''
  return `SELECT * FROM ${relation} WHERE ${key} >= ${quoteLiteral(start)} AND ${key} < ${quoteLiteral(end)}${filter}`
}

async function demoKafkaSink(brokers: string, key: string): Promise<Sink> {
  const { kafkaSink } = await import('../../sinks/kafka.ts')
  return kafkaSink({
    name: 'demo',
    brokers: brokers.split(','),
    topic: TOPIC,
    key,
    createTopic: { partitions: 4, replicas: 1 },
  })
}
