/** Tables: in DuckDB, with the types and the names that Snowflake has for them. */
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { quoteIdentifier } from '../../../src/sources/sql.ts'

export interface TableColumn {
  readonly name: string
  /** As DESCRIBE says it: `NUMBER(38,0)`. */
  readonly type: string
  readonly nullable: boolean
}

export interface Table {
  /** Database, schema and name, as stored. */
  readonly names: readonly [string, string, string]
  readonly columns: readonly TableColumn[]
  readonly kind: 'TABLE' | 'VIEW'
  /** In DuckDB, quoted. */
  readonly relation: string
}

const MACROS = [
  `CREATE MACRO TO_TIMESTAMP_NTZ(t, f) AS CAST(t AS TIMESTAMP)`,
  `CREATE MACRO TO_TIMESTAMP_TZ(t, f) AS CAST(replace(t, ' +0000', '+00') AS TIMESTAMPTZ)`,
  `CREATE MACRO CONVERT_TIMEZONE(z, t) AS CASE WHEN z = 'UTC' THEN t ELSE error('zone') END`,
  `CREATE MACRO TO_DATE(t, f) AS CAST(t AS DATE)`,
  `CREATE MACRO TO_TIME(t) AS CAST(t AS TIME)`,
  `CREATE MACRO TO_DOUBLE(t) AS CAST(t AS DOUBLE)`,
  `CREATE MACRO TO_BOOLEAN(t) AS CAST(t AS BOOLEAN)`,
  `CREATE MACRO TO_BINARY(t, f) AS CASE WHEN f = 'BASE64' THEN from_base64(t) ELSE error('format') END`,
  `CREATE MACRO TO_VARCHAR(v) AS CAST(v AS VARCHAR)`,
  `CREATE MACRO UNIFORM(a, b, r) AS a`,
  `CREATE MACRO ST_ASGEOJSON(g) AS CAST(g AS JSON)`,
]

export class Warehouse {
  readonly #instance: DuckDBInstance
  readonly #tables = new Map<string, Table>()

  static async open(): Promise<Warehouse> {
    const instance = await DuckDBInstance.create(':memory:')
    const warehouse = new Warehouse(instance)
    await warehouse.connected(async connection => {
      for (const macro of MACROS) await connection.run(macro)
    })
    return warehouse
  }

  constructor(instance: DuckDBInstance) {
    this.#instance = instance
  }

  close(): void {
    this.#instance.closeSync()
  }

  async connected<T>(work: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
    const connection = await this.#instance.connect()
    try {
      await connection.run("SET SESSION TimeZone = 'UTC'")
      return await work(connection)
    } finally {
      connection.closeSync()
    }
  }

  /**
   * Makes a table of the rows of a DuckDB query, whose columns are named and typed as given: `{ ID: 'NUMBER(38,0)' }`. A type
   * that ends in `NOT NULL` says that.
   */
  async create(
    name: string,
    types: Readonly<Record<string, string>>,
    query: string,
    kind: Table['kind'] = 'TABLE',
  ): Promise<void> {
    const names = name.split('.') as [string, string, string]
    const [database, schema] = names
    const columns = Object.entries(types).map(([name, type]) => ({
      name,
      type: type.replace(' NOT NULL', ''),
      nullable: !type.endsWith(' NOT NULL'),
    }))
    const relation = names.map(quoteIdentifier).join('.')
    await this.connected(async connection => {
      await connection.run(`ATTACH IF NOT EXISTS ':memory:' AS ${quoteIdentifier(database)}`)
      await connection.run(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(database)}.${quoteIdentifier(schema)}`)
      const cells = columns.map(
        ({ name, type }, index) => `CAST(c${index} AS ${storedAs(type)}) AS ${quoteIdentifier(name)}`,
      )
      const aliases = columns.map((_, index) => `c${index}`).join(', ')
      await connection.run(`CREATE TABLE ${relation} AS SELECT ${cells.join(', ')} FROM (${query}) AS rows(${aliases})`)
    })
    this.#tables.set(JSON.stringify(names), { names, columns, kind, relation })
  }

  find(names: readonly string[]): Table | undefined {
    return this.#tables.get(JSON.stringify(names))
  }

  drop(name: string): void {
    this.#tables.delete(JSON.stringify(name.split('.')))
  }

  tables(): readonly Table[] {
    return [...this.#tables.values()]
  }

  async rowsOf({ relation }: Table): Promise<number> {
    return this.connected(async connection => {
      const read = await connection.runAndReadAll(`SELECT count(*) FROM ${relation}`)
      return Number(read.getRows()[0]![0])
    })
  }
}

/** DuckDB has no time zones of values: an instant is one, whichever zone it was written in. */
function storedAs(type: string): string {
  const [, name = '', rest = ''] = /^([A-Z_]+)(.*)$/.exec(type) ?? []
  switch (name) {
    case 'NUMBER':
      return `DECIMAL${rest}`
    case 'FLOAT':
      return 'DOUBLE'
    case 'VARCHAR':
      return 'VARCHAR'
    case 'BINARY':
      return 'BLOB'
    case 'BOOLEAN':
    case 'DATE':
    case 'TIME':
      return name
    case 'TIMESTAMP_NTZ':
      return 'TIMESTAMP'
    case 'TIMESTAMP_LTZ':
    case 'TIMESTAMP_TZ':
      return 'TIMESTAMPTZ'
    default:
      return 'JSON'
  }
}
