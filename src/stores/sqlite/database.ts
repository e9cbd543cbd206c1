/** The file: opened, brought to the current schema, and its errors put into words. Synchronous, for the store's own thread. */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { isMillraceError, StoreError } from '../../core/errors.ts'
import { APPLICATION_ID, MIGRATIONS } from './schema.ts'

/** How long to wait for another process's transaction. Theirs take milliseconds; this is for a machine that stands still. */
const BUSY_MS = 10_000

/** By name as in the SQL text, `$jobId`; names that the text does not have are an error. */
export type Params = Readonly<Record<string, SQLInputValue>>

export class Database {
  readonly #sqlite: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(sqlite: DatabaseSync) {
    this.#sqlite = sqlite
  }

  /** Answers how many rows changed. */
  run(sql: string, params: Params = {}): number {
    return Number(this.#statement(sql).run(params).changes)
  }

  get<Row>(sql: string, params: Params = {}): Row | undefined {
    return this.#statement(sql).get(params) as Row | undefined
  }

  all<Row>(sql: string, params: Params = {}): Row[] {
    return this.#statement(sql).all(params) as Row[]
  }

  iterate<Row>(sql: string, params: Params = {}): Iterable<Row> {
    return this.#statement(sql).iterate(params) as Iterable<Row>
  }

  /** Takes the write lock at once: a transaction that reads first and then writes can find that it must start over. */
  write<T>(work: () => T): T {
    return this.#transaction('BEGIN IMMEDIATE', work)
  }

  /** One state of the file for several reads, or for a write to temporary tables, which need no lock. */
  read<T>(work: () => T): T {
    return this.#transaction('BEGIN', work)
  }

  close(): void {
    this.#sqlite.close()
  }

  #transaction<T>(begin: string, work: () => T): T {
    this.#sqlite.exec(begin)
    try {
      const result = work()
      this.#sqlite.exec('COMMIT')
      return result
    } catch (error) {
      // some errors, a full disk among them, have rolled back already
      if (this.#sqlite.isTransaction) this.#sqlite.exec('ROLLBACK')
      throw error
    }
  }

  /** Kept for good: the texts are few and fixed. */
  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#sqlite.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }
}

/** Creates folder and file where there are none. Throws a `StoreError` that names the file. */
export function openDatabase(path: string): Database {
  let sqlite: DatabaseSync | undefined
  try {
    mkdirSync(dirname(path), { recursive: true })
    sqlite = new DatabaseSync(path, { timeout: BUSY_MS })
    // a commit is in the disk's hands before it is acknowledged; WAL alone would leave that to the next checkpoint
    sqlite.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON')
    migrate(sqlite, path, MIGRATIONS)
    return new Database(sqlite)
  } catch (error) {
    sqlite?.close()
    throw storeError(error, path)
  }
}

/** All of what is missing in one transaction, or nothing. */
export function migrate(sqlite: DatabaseSync, path: string, migrations: readonly string[]): void {
  if (version(sqlite, path, migrations.length) === migrations.length) return
  sqlite.exec('BEGIN IMMEDIATE')
  try {
    // again, under the lock: another process may have been faster
    for (const sql of migrations.slice(version(sqlite, path, migrations.length))) sqlite.exec(sql)
    sqlite.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${migrations.length}; COMMIT`)
  } catch (error) {
    if (sqlite.isTransaction) sqlite.exec('ROLLBACK')
    throw error
  }
}

function version(sqlite: DatabaseSync, path: string, known: number): number {
  const found = sqlite
    .prepare(
      `SELECT user_version AS version, application_id AS application, (SELECT count(*) FROM sqlite_schema) AS objects
       FROM pragma_user_version, pragma_application_id`,
    )
    .get() as { version: number; application: number; objects: number }
  if (found.application !== APPLICATION_ID && found.objects > 0) {
    const message = `${path} is a database of another program: give the store a path of its own`
    throw new StoreError(message, { retryable: false })
  }
  if (found.version > known) {
    const message = `${path} has schema version ${found.version}, this millrace knows up to ${known}: upgrade millrace, or give it another path`
    throw new StoreError(message, { retryable: false })
  }
  return found.version
}

/** What an error of SQLite or of the file system means for a user of this file. */
export function storeError(error: unknown, path: string): unknown {
  if (isMillraceError(error)) return error
  const { message, code, errcode = 0, syscall } = error as Error & { code?: string; errcode?: number; syscall?: string }
  const fromFileSystem = syscall === undefined ? undefined : NOT_WRITABLE
  // https://sqlite.org/rescode.html: the low byte is the primary code
  const known = code === 'ERR_SQLITE_ERROR' ? SQLITE_ERRORS[errcode & 0xff] : fromFileSystem
  const { what, retryable } = known ?? { what: 'unexpected error', retryable: false }
  return new StoreError(`job store ${path}: ${what} (${message})`, { cause: error, retryable })
}

interface Meaning {
  readonly what: string
  readonly retryable: boolean
}

const NOT_WRITABLE: Meaning = {
  what: 'cannot be opened for writing: check that the path is a file and that this user may write it and its folder',
  retryable: false,
}
const DAMAGED: Meaning = {
  what: 'is damaged or not a database: restore it from a backup, or move it away to start empty',
  retryable: false,
}
const LOCKED: Meaning = {
  what: `another process has held the lock for ${BUSY_MS / 1_000} s: look for one that hangs`,
  retryable: true,
}

const SQLITE_ERRORS: Readonly<Record<number, Meaning>> = {
  3: NOT_WRITABLE, // PERM
  5: LOCKED, // BUSY
  6: LOCKED, // LOCKED
  8: NOT_WRITABLE, // READONLY
  10: { what: 'the disk failed: check its health and its quota', retryable: true }, // IOERR
  11: DAMAGED, // CORRUPT
  13: { what: 'the disk is full: free some space', retryable: true }, // FULL
  14: NOT_WRITABLE, // CANTOPEN
  26: DAMAGED, // NOTADB
}
