/** What the statements of the source do. Any other is a syntax error, so that nothing passes for supported that is not. */
import { join } from 'node:path'
import type { Accounts, Session } from './accounts.ts'
import { type ResultSet, status, texts } from './answers.ts'
import { type Names, requireTable, toDuckdb } from './dialect.ts'
import { missingObject, Refusal, syntaxError } from './errors.ts'
import type { Faults } from './faults.ts'
import type { Stages } from './stages.ts'
import { tokensOf } from './tokens.ts'
import { readUnloadOptions, unload } from './unload.ts'
import type { Table, Warehouse } from './warehouse.ts'

export interface Running {
  readonly queryId: string
  readonly tag: string
  readonly sql: string
  readonly session: Session
  readonly binds: readonly (string | null)[]
  readonly signal: AbortSignal
}

export interface World {
  readonly accounts: Accounts
  readonly warehouse: Warehouse
  readonly stages: Stages
  readonly faults: Faults
  readonly origin: string
  /** Of the virtual warehouse: what makes statements that need one fail. */
  compute: 'running' | 'none' | 'suspended' | 'quota'
  /** Statements that match are refused for want of rights. */
  forbidden: RegExp | undefined
  history(): readonly { readonly queryId: string; readonly tag: string; readonly sql: string }[]
  cancel(queryId: string): boolean
}

type Handler = (match: RegExpExecArray, running: Running, world: World) => Promise<ResultSet>

const HANDLERS: readonly (readonly [RegExp, Handler])[] = [
  [/^ALTER SESSION SET (.*)$/, alterSession],
  [/^DESCRIBE TABLE (\S+)$/, describeTable],
  [/^SHOW OBJECTS(?: IN SCHEMA (\S+))?(?: LIMIT \d+)?$/, showObjects],
  [/^SHOW STAGES LIKE '([^']*)'(?: IN SCHEMA (\S+))?$/, showStages],
  [/^SHOW TABLES LIKE '([^']*)'(?: IN SCHEMA (\S+))?$/, showTables],
  [/^SELECT SYSTEM\$CANCEL_QUERY\('([^']*)'\)$/, cancelQuery],
  [/^SELECT GET_PRESIGNED_URL\((@\S+), '((?:[^'\\]|''|\\.)*)', (\d+)\) AS URL$/, presign],
  [
    /^SELECT QUERY_ID FROM TABLE\((?:"[^"]*"\.)?INFORMATION_SCHEMA\.QUERY_HISTORY_BY_USER\(.*QUERY_TAG = '([^']*)'/,
    queryHistory,
  ],
  [/^SELECT CURRENT_USER\(\) AS U, CURRENT_ROLE\(\) AS R, CURRENT_WAREHOUSE\(\) AS W$/, currentState],
  [/^COPY INTO (@\S+) FROM \((.*)\) (FILE_FORMAT = .*)$/s, copy],
  [/^REMOVE (@\S+)$/, remove],
  [/^LIST (@\S+)$/, list],
  [/^GET '(@[^']*)' 'file:\/\/([^']*)'$/, get],
  [/^CREATE OR REPLACE TEMPORARY TABLE (\S+) \(V VARCHAR\)$/, createTemporary],
  [/^DROP TABLE IF EXISTS (\S+)$/, dropTemporary],
  [/^INSERT INTO (\S+) (SELECT .*)$/s, insert],
  [/^SELECT /, select],
]

export async function perform(running: Running, world: World): Promise<ResultSet> {
  const sql = running.sql.trim()
  if (world.forbidden?.test(sql))
    throw new Refusal('003001', '42501', 'SQL access control error:\nInsufficient privileges to operate on the object.')
  for (const [pattern, handler] of HANDLERS) {
    const match = pattern.exec(sql)
    if (match) return handler(match, running, world)
  }
  throw syntaxError(sql.slice(0, 20))
}

/** What is found before a statement runs, and so refused at once even where it is to run detached. */
export function compile({ sql, session }: Running, world: World): void {
  const match = /^COPY INTO (@\S+) FROM \((.*)\) (FILE_FORMAT = .*)$/s.exec(sql.trim())
  if (!match) return
  readUnloadOptions(match[3]!)
  world.stages.read(match[1]!)
  toDuckdb(match[2]!, namesOf(world, session))
}

function requireCompute({ compute }: World): void {
  if (compute === 'none')
    throw new Refusal(
      '000606',
      '57P03',
      "No active warehouse selected in the current session.  Select an active warehouse with the 'use warehouse' command.\n",
    )
  if (compute === 'suspended') throw new Refusal('000609', '57014', "Warehouse 'BACKFILL' is suspended.")
  if (compute === 'quota')
    throw new Refusal(
      '090073',
      '22000',
      "Warehouse 'BACKFILL' cannot be resumed because resource monitor 'MONTHLY' has exceeded its quota.",
    )
}

async function alterSession([, text]: RegExpExecArray, { session }: Running): Promise<ResultSet> {
  for (const [, name, value] of text!.matchAll(/(\w+) = ('[^']*'|\w+)/g)) session.parameters.set(name!, value!)
  return status('Statement executed successfully.')
}

function partsOf(reference: string): string[] {
  return tokensOf(reference)
    .filter(({ kind }) => kind === 'quoted' || kind === 'word')
    .map(({ kind, value }) => (kind === 'word' ? value.toUpperCase() : value))
}

async function describeTable([, reference]: RegExpExecArray, _: Running, { warehouse }: World): Promise<ResultSet> {
  const parts = partsOf(reference!)
  const { columns } = requireTable(warehouse.find(parts), parts)
  return {
    columns: texts('name', 'type', 'kind', 'null?', 'default', 'primary key', 'unique key', 'comment'),
    rows: columns.map(({ name, type, nullable }) => [name, type, 'COLUMN', nullable ? 'Y' : 'N', null, 'N', 'N', null]),
  }
}

function tablesIn({ warehouse }: World, reference: string | undefined): readonly Table[] {
  const schema = reference === undefined ? [] : partsOf(reference)
  const found = warehouse.tables().filter(({ names }) => schema.every((part, index) => names[index] === part))
  if (schema.length > 0 && found.length === 0) throw missingObject('Schema', schema.join('.'))
  return found
}

async function showObjects([, schema]: RegExpExecArray, _: Running, world: World): Promise<ResultSet> {
  return {
    columns: texts('name', 'database_name', 'schema_name', 'kind'),
    rows: tablesIn(world, schema).map(({ names: [database, schema, name], kind }) => [name, database, schema, kind]),
  }
}

async function showTables([, name, schema]: RegExpExecArray, _: Running, world: World): Promise<ResultSet> {
  const tables = tablesIn(world, schema).filter(table => table.kind === 'TABLE' && table.names[2] === name)
  const rows = await Promise.all(
    tables.map(async table => {
      const count = await world.warehouse.rowsOf(table)
      return [table.names[2], table.names[0], table.names[1], String(count), String(count * 100)]
    }),
  )
  const columns = [
    ...texts('name', 'database_name', 'schema_name'),
    ...(['rows', 'bytes'] as const).map(name => ({ name, type: 'fixed' as const })),
  ]
  return { columns, rows }
}

async function showStages([, name]: RegExpExecArray, _: Running, { stages }: World): Promise<ResultSet> {
  const found = stages.all().filter(stage => stage.name.split('.').at(-1) === name)
  return { columns: texts('name', 'type'), rows: found.map(stage => [stage.name.split('.').at(-1)!, stage.type]) }
}

async function cancelQuery([, id]: RegExpExecArray, _: Running, world: World): Promise<ResultSet> {
  if (!world.cancel(id!)) throw new Refusal('000709', '02000', `Statement ${id} not found`)
  return { columns: texts('SYSTEM$CANCEL_QUERY'), rows: [[`query [${id}] terminated.`]] }
}

async function presign(
  [, reference, path, seconds]: RegExpExecArray,
  _: Running,
  { stages, origin }: World,
): Promise<ResultSet> {
  const { stage } = stages.read(reference!)
  const { value } = tokensOf(`'${path}'`)[0]!
  return { columns: texts('URL'), rows: [[origin + stages.sign({ stage, path: value }, Number(seconds))]] }
}

async function queryHistory([, tag]: RegExpExecArray, _: Running, world: World): Promise<ResultSet> {
  requireCompute(world)
  const found = world.history().filter(query => query.tag === tag && query.sql.startsWith('COPY INTO'))
  return { columns: texts('QUERY_ID'), rows: found.map(({ queryId }) => [queryId]).reverse() }
}

async function currentState(_: RegExpExecArray, { session }: Running, { compute }: World): Promise<ResultSet> {
  return { columns: texts('U', 'R', 'W'), rows: [[session.user, 'MILLRACE', compute === 'none' ? null : 'BACKFILL']] }
}

async function copy(
  [, reference, query, options]: RegExpExecArray,
  running: Running,
  world: World,
): Promise<ResultSet> {
  requireCompute(world)
  const { stages, faults, warehouse } = world
  const { session, signal } = running
  const sql = toDuckdb(query!, namesOf(world, session))
  const narrowing = session.parameters.get('ENABLE_UNLOAD_PHYSICAL_TYPE_OPTIMIZATION') !== 'FALSE'
  const files = await warehouse.connected(async connection => {
    const interrupt = () => connection.interrupt()
    signal.addEventListener('abort', interrupt)
    try {
      return await unload(connection, sql, {
        reference: reference!,
        stages,
        options: readUnloadOptions(options!),
        narrowing,
        async onFile(files) {
          const fault = faults.takeUnload(files)
          if (fault?.how instanceof Promise) await Promise.race([fault.how, aborted(signal)])
          else if (fault?.how === 'killed') throw new Refusal('000604', '57014', 'SQL execution canceled')
          else if (fault)
            throw new Refusal(
              '000603',
              'XX000',
              'SQL execution internal error:\nProcessing aborted by error 300010:1234; incident 5678.',
            )
          signal.throwIfAborted()
        },
      })
    } finally {
      signal.removeEventListener('abort', interrupt)
    }
  })
  const columns = [
    ...texts('FILE_NAME'),
    ...(['FILE_SIZE', 'ROW_COUNT'] as const).map(name => ({ name, type: 'fixed' as const })),
  ]
  return { columns, rows: files.map(({ name, size, rows }) => [name, String(size), String(rows)]) }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

async function remove([, reference]: RegExpExecArray, _: Running, { stages }: World): Promise<ResultSet> {
  const removed = await stages.remove(stages.read(reference!))
  return { columns: texts('name', 'result'), rows: removed.map(name => [name, 'removed']) }
}

async function list([, reference]: RegExpExecArray, _: Running, { stages }: World): Promise<ResultSet> {
  const files = await stages.list(stages.read(reference!))
  return {
    columns: texts('name', 'size', 'md5', 'last_modified'),
    rows: files.map(({ name, size }) => [name, String(size), null, null]),
  }
}

/** The client copies the files itself. */
async function get([, reference, target]: RegExpExecArray, _: Running, { stages }: World): Promise<ResultSet> {
  const place = stages.read(reference!)
  if (place.stage.type === 'EXTERNAL')
    throw new Refusal(
      '091003',
      '0A000',
      'SQL compilation error:\nGET and PUT commands are not supported with external stage',
    )
  const files = await stages.list(place)
  const transfer = {
    command: 'DOWNLOAD',
    localLocation: join('/', decodeURIComponent(target!)),
    src_locations: files.map(({ name }) => name),
    parallel: 1,
    threshold: 0,
    autoCompress: false,
    overwrite: false,
    sourceCompression: 'none',
    encryptionMaterial: [],
    presignedUrls: [],
    stageInfo: {
      locationType: 'LOCAL_FS',
      location: stages.directoryOf(place.stage),
      path: '',
      region: null,
      storageAccount: null,
      isClientSideEncrypted: false,
      creds: {},
    },
  }
  return { columns: [], rows: [], transfer }
}

async function createTemporary(
  [, reference]: RegExpExecArray,
  { session, queryId }: Running,
  { warehouse }: World,
): Promise<ResultSet> {
  const name = `"memory"."main"."temporary_${queryId}"`
  await warehouse.connected(connection => connection.run(`CREATE TABLE ${name} (V VARCHAR)`))
  session.temporary.set(JSON.stringify(partsOf(reference!)), name)
  return status('Table successfully created.')
}

async function dropTemporary(
  [, reference]: RegExpExecArray,
  { session }: Running,
  { warehouse }: World,
): Promise<ResultSet> {
  const key = JSON.stringify(partsOf(reference!))
  const name = session.temporary.get(key)
  session.temporary.delete(key)
  if (name) await warehouse.connected(connection => connection.run(`DROP TABLE ${name}`))
  return status('dropped')
}

async function insert(
  [, reference, query]: RegExpExecArray,
  { session, binds }: Running,
  world: World,
): Promise<ResultSet> {
  requireCompute(world)
  const { relation } = namesOf(world, session).table(partsOf(reference!))
  const sql = toDuckdb(query!, namesOf(world, session), binds)
  await world.warehouse.connected(connection => connection.run(`INSERT INTO ${relation} ${sql}`))
  return status('inserted')
}

async function select(_match: RegExpExecArray, running: Running, world: World): Promise<ResultSet> {
  requireCompute(world)
  const translated = toDuckdb(running.sql, namesOf(world, running.session), running.binds)
  return world.warehouse.connected(async connection => {
    const read = await connection.runAndReadAll(translated)
    const types = read.columnTypes().map(type => (/INT|DECIMAL/.test(String(type)) ? 'fixed' : 'text'))
    const columns = read.columnNames().map((name, index) => ({ name, type: types[index]! }) as const)
    return { columns, rows: read.getRows().map(row => row.map(value => (value === null ? null : String(value)))) }
  })
}

/** A session sees its own temporary tables, and no others. */
function namesOf({ warehouse }: World, session: Session): Names {
  return {
    table(parts) {
      const temporary = session.temporary.get(JSON.stringify(parts))
      if (temporary !== undefined) return { relation: temporary }
      return requireTable(warehouse.find(parts), parts)
    },
  }
}
