/** The database behind the source: open while it is needed, with connections that behave the same whoever opened it. */
import { existsSync } from 'node:fs'
import { parse } from 'node:path'
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { loadDriver } from '../../core/driver.ts'
import { ConfigError } from '../../core/errors.ts'
import { quoteIdentifier, quoteLiteral } from '../sql.ts'
import { INTERVAL_MACROS } from './conversions.ts'
import { databaseError } from './failures.ts'
import { type SpillDirectory, spillDirectory } from './spill.ts'

export interface Database {
  /** A connection of its own for `work`, closed behind it. */
  connected<T>(work: (connection: DuckDBConnection) => Promise<T>): Promise<T>
}

/** The host's instance: its settings are the host's, and closing it too. */
export function hostDatabase(instance: DuckDBInstance): Database {
  return { connected: work => connectedTo(instance, [], work) }
}

interface FileOptions {
  readonly path: string
  readonly memoryLimit: string
  readonly threads: number | undefined
  readonly spillInto: string
}

/**
 * A file, open read-only, and only while somebody works with it: DuckDB locks a file that is open, even read-only, against
 * writers in other processes, and a service that keeps its warehouse locked for weeks would be a nuisance. DuckDB's memory
 * is given back at the same time.
 */
export function fileDatabase(options: FileOptions): Database {
  let users = 0
  let opened: Promise<OpenFile> | undefined

  return {
    async connected(work) {
      users++
      opened ??= openFile(options)
      const file = opened
      try {
        const { instance, name } = await file
        return await connectedTo(instance, [`USE ${name}`], work)
      } finally {
        users--
        if (users === 0) {
          opened = undefined
          await file.then(closeFile, () => {})
        }
      }
    },
  }
}

interface OpenFile {
  readonly instance: DuckDBInstance
  /** Of the file's database, quoted. */
  readonly name: string
  readonly spill: SpillDirectory
}

/** Attached to an instance in memory, and not opened as an instance, so that it can be detached: see `closeFile`. */
async function openFile({ path, memoryLimit, threads, spillInto }: FileOptions): Promise<OpenFile> {
  if (!existsSync(path)) throw new ConfigError(`there is no database file ${path}`)
  const { DuckDBInstance } = await loadDriver('@duckdb/node-api', () => import('@duckdb/node-api'))
  const spill = await spillDirectory(spillInto)
  try {
    const instance = await DuckDBInstance.create(':memory:', {
      memory_limit: memoryLimit,
      temp_directory: spill.path,
      ...(threads === undefined ? {} : { threads: String(threads) }),
    })
    try {
      return { instance, name: await attach(instance, path), spill }
    } catch (error) {
      instance.closeSync()
      throw error
    }
  } catch (error) {
    spill.free()
    throw databaseError(`cannot open ${path}`, error)
  }
}

/** Of databases that every instance has. */
const TAKEN_NAMES: readonly string[] = ['memory', 'system', 'temp']

/** Gives the name that the database got, which is that of the file, where that is not taken: its views may name it. */
async function attach(instance: DuckDBInstance, path: string): Promise<string> {
  const connection = await instance.connect()
  const isTaken = TAKEN_NAMES.includes(parse(path).name.toLowerCase())
  try {
    await connection.run(`ATTACH ${quoteLiteral(path)} ${isTaken ? 'AS warehouse ' : ''}(READ_ONLY)`)
    const names = await connection.runAndReadAll(
      "SELECT database_name FROM duckdb_databases() WHERE NOT internal AND database_name <> 'memory'",
    )
    return quoteIdentifier(String(names.getRows()[0]![0]))
  } finally {
    connection.closeSync()
  }
}

/**
 * Closing an instance stops the host's thread for as long as it takes to give its memory back: 100 ms for 512 MB. Almost
 * all of that belongs to the file and to the threads, and the statements that are rid of both run in another thread.
 */
async function closeFile({ instance, name, spill }: OpenFile): Promise<void> {
  const connection = await instance.connect()
  for (const statement of [`DETACH ${name}`, 'SET threads = 1']) {
    // closing does without it, only slower
    await connection.run(statement).catch(() => {})
  }
  connection.closeSync()
  instance.closeSync()
  spill.free()
}

/** Of one connection only. Without insertion order, since DuckDB bounds row groups by their bytes only then. */
const SESSION = [
  "SET SESSION TimeZone = 'UTC'",
  'SET SESSION preserve_insertion_order = false',
  ...INTERVAL_MACROS,
] as const

async function connectedTo<T>(
  instance: DuckDBInstance,
  use: readonly string[],
  work: (connection: DuckDBConnection) => Promise<T>,
): Promise<T> {
  const connection = await instance.connect()
  try {
    for (const statement of [...use, ...SESSION]) {
      await connection.run(statement).catch(error => {
        throw databaseError('cannot set up a connection', error)
      })
    }
    return await work(connection)
  } finally {
    connection.closeSync()
  }
}

/**
 * Awaits a statement on `connection` and interrupts it when `signal` aborts; then rejects with the signal's reason.
 * `doing` begins the message of any other failure.
 */
export async function interruptible<T>(
  connection: DuckDBConnection,
  doing: string,
  signal: AbortSignal,
  statement: () => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  let repeated: NodeJS.Timeout | undefined
  function interrupt(): void {
    connection.interrupt()
    // DuckDB forgets an interrupt that comes between a statement's preparation and its execution
    repeated ??= setInterval(interrupt, 20)
  }
  signal.addEventListener('abort', interrupt)
  try {
    return await statement()
  } catch (error) {
    signal.throwIfAborted()
    throw databaseError(doing, error)
  } finally {
    signal.removeEventListener('abort', interrupt)
    clearInterval(repeated)
  }
}
