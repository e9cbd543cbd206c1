import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { StoreError } from '../../../src/core/errors.ts'
import { storeCalls } from '../../../src/stores/sqlite/calls.ts'
import { Database, migrate, openDatabase, storeError } from '../../../src/stores/sqlite/database.ts'
import { MIGRATIONS } from '../../../src/stores/sqlite/schema.ts'
import { sqliteStore } from '../../../src/stores/sqlite.ts'
import type { Store } from '../../../src/stores/store.ts'
import { everythingOf, testJob } from '../../../src/testing/store-driver.ts'
import { temporaryFolder } from '../folder.ts'
import { runChild } from './children.ts'
import { createVersion1, VERSION_1_JOB, VERSION_1_VALUES } from './version-1.ts'

describe('opening a file', () => {
  it('creates its folders, and commits to the disk before it acknowledges', () => {
    const db = openDatabase(`${temporaryFolder()}/some/folders/jobs.sqlite`)
    expect(db.get('PRAGMA journal_mode')).toEqual({ journal_mode: 'wal' })
    expect(db.get('PRAGMA synchronous')).toEqual({ synchronous: 2 })
    expect(db.get('PRAGMA foreign_keys')).toEqual({ foreign_keys: 1 })
    db.close()
  })

  it('fails for a file that is no database, and leaves it as it is', async () => {
    const path = `${temporaryFolder()}/jobs.sqlite`
    const text = 'not a database, but long enough to have a header of one hundred bytes'.repeat(10)
    writeFileSync(path, text)
    await expectFailure(path, store => store.create(testJob()), /damaged or not a database: restore/)
    expect(readFileSync(path, 'utf8')).toBe(text)
  })

  it('fails for a database of another program', async () => {
    const path = `${temporaryFolder()}/jobs.sqlite`
    const other = new DatabaseSync(path)
    other.exec('CREATE TABLE theirs (a)')
    await expectFailure(path, store => store.unfinished(), /another program: give the store a path of its own/)
    expect(other.prepare('SELECT name FROM sqlite_schema').all()).toEqual([{ name: 'theirs' }])
    other.close()
  })

  it('fails for a schema of a newer millrace', async () => {
    const path = `${temporaryFolder()}/jobs.sqlite`
    openDatabase(path).close()
    const newer = new DatabaseSync(path)
    newer.exec('PRAGMA user_version = 99')
    newer.close()
    await expectFailure(
      path,
      store => store.unfinished(),
      /schema version 99, this millrace knows up to \d+: upgrade millrace/,
    )
  })

  it('fails where no folder can be made, and where the path is a folder', async () => {
    const folder = temporaryFolder()
    writeFileSync(`${folder}/file`, '')
    await expectFailure(`${folder}/file/jobs.sqlite`, store => store.unfinished(), /check that the path is a file/)
    mkdirSync(`${folder}/jobs.sqlite`)
    await expectFailure(`${folder}/jobs.sqlite`, store => store.unfinished(), /check that the path is a file/)
  })

  it('fails in a folder that may not be written', async () => {
    const folder = temporaryFolder()
    chmodSync(folder, 0o555)
    // the superuser may write everywhere
    const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
    const { said } = await runChild('open', `${folder}/jobs.sqlite`, user)
    expect(said).toMatchObject([
      { code: 'store_failed', message: expect.stringContaining(`${folder}/jobs.sqlite: cannot be opened for writing`) },
    ])
  })

  it('works again once what was wrong is put right', async () => {
    const path = `${temporaryFolder()}/jobs.sqlite`
    writeFileSync(path, 'x'.repeat(1_000))
    const store = sqliteStore({ path })
    await expect(store.unfinished()).rejects.toThrow(StoreError)
    rmSync(path)
    expect(await store.unfinished()).toEqual([])
    await store.close()
  })
})

describe('a file that fails later', () => {
  it('names the file when pages turn out to be damaged', async () => {
    const path = `${temporaryFolder()}/jobs.sqlite`
    const job = testJob({ organizationId: 'x'.repeat(100_000) })
    await using(sqliteStore({ path }), store => store.create(job))
    const bytes = readFileSync(path)
    writeFileSync(path, bytes.fill(0xa5, 4_096))
    await expectFailure(path, store => store.get(job.jobId), /damaged or not a database/)
  })

  it('stores nothing of what finds the disk full', () => {
    const path = `${temporaryFolder()}/jobs.sqlite`
    openDatabase(path).close()
    const sqlite = new DatabaseSync(path)
    sqlite.exec('PRAGMA max_page_count = 60')
    const calls = storeCalls(new Database(sqlite))
    const job = { ...testJob(), table: 't', requestJson: JSON.stringify('x'.repeat(1_000_000)) }
    expect(() => calls.create(job)).toThrow(/full/)
    expect(sqlite.isTransaction).toBe(false)
    for (const table of ['jobs', 'requests', 'destinations']) {
      expect(sqlite.prepare(`SELECT count(*) AS rows FROM ${table}`).get()).toEqual({ rows: 0 })
    }
    calls.create({ ...job, requestJson: '{}' })
    expect(calls.get(job.jobId).value?.jobId).toBe(job.jobId)
    sqlite.close()
  })

  it.each([
    ['a full disk', 13, true, /disk is full: free some space/],
    ['a disk that fails', 10 | (3 << 8), true, /disk failed/],
    ['a file that became read-only', 8, false, /cannot be opened for writing/],
    ['a constraint, which is a bug', 19, false, /unexpected error/],
  ])('says what to do about %s', (_, errcode, retryable, message) => {
    const error = Object.assign(new Error('as SQLite says it'), { code: 'ERR_SQLITE_ERROR', errcode })
    const translated = storeError(error, '/where/jobs.sqlite') as StoreError
    expect(translated).toMatchObject({ code: 'store_failed', retryable, cause: error })
    expect(translated.message).toMatch(message)
    expect(translated.message).toContain('/where/jobs.sqlite')
  })

  it('says that another process holds the lock', () => {
    const path = `${temporaryFolder()}/jobs.sqlite`
    openDatabase(path).close()
    const [holder, waiter] = [new DatabaseSync(path), new DatabaseSync(path, { timeout: 0 })]
    holder.exec('BEGIN IMMEDIATE')
    const error = thrownBy(() => waiter.exec('BEGIN IMMEDIATE'))
    expect(storeError(error, path)).toMatchObject({
      retryable: true,
      message: expect.stringMatching(/another process has held the lock/),
    })
    holder.close()
    waiter.close()
  })
})

/** What later versions say of a job that they know less of. */
function migrated({ record, deadLetters, ...job }: typeof VERSION_1_JOB) {
  const destinationRecords = record.destinationRecords.map(one => ({ ...one, delivery: 0 }))
  return {
    ...job,
    record: { ...record, staged: undefined, destinationRecords },
    deadLetters: deadLetters.map(letters => letters.map(letter => ({ ...letter, time: '' }))),
  }
}

describe('migrations', () => {
  it('bring a file of version 1 to the current schema with all its data', async () => {
    const path = `${temporaryFolder()}/jobs.sqlite`
    createVersion1(path)
    await using(sqliteStore({ path }), async store => {
      expect(await everythingOf(store, VERSION_1_JOB.record.jobId)).toEqual(migrated(VERSION_1_JOB))
      expect((await store.valueSet(VERSION_1_VALUES.ref))?.count).toBe(VERSION_1_VALUES.members.length)
      for await (const piece of (await store.valueSet(VERSION_1_VALUES.ref))!.values()) {
        expect(piece).toEqual(VERSION_1_VALUES.members)
      }
    })
    expect(schemaOf(path)).toEqual(schemaOf(fresh(MIGRATIONS)))
  })

  it('never change once they were released', () => {
    const path = `${temporaryFolder()}/jobs.sqlite`
    createVersion1(path)
    expect(schemaOf(fresh(MIGRATIONS.slice(0, 1)))).toEqual(schemaOf(path))
  })

  it('are applied once each, in order', () => {
    const sqlite = new DatabaseSync(':memory:')
    const second = 'CREATE TABLE more (a) STRICT; INSERT INTO more VALUES (1)'.replace('(a)', '(a INTEGER)')
    const third = 'UPDATE more SET a = a + 1'
    migrate(sqlite, 'file', [...MIGRATIONS, second])
    migrate(sqlite, 'file', [...MIGRATIONS, second, third])
    migrate(sqlite, 'file', [...MIGRATIONS, second, third])
    expect(sqlite.prepare('SELECT a FROM more').all()).toEqual([{ a: 2 }])
    expect(sqlite.prepare('PRAGMA user_version').get()).toEqual({ user_version: MIGRATIONS.length + 2 })
  })

  it('leave the file as it was if one of them fails', () => {
    const path = fresh(MIGRATIONS)
    const before = schemaOf(path)
    const sqlite = new DatabaseSync(path)
    expect(() => migrate(sqlite, path, [...MIGRATIONS, 'CREATE TABLE more (a)', 'CREATE TABLE jobs (a)'])).toThrow(
      /already exists/,
    )
    expect(sqlite.isTransaction).toBe(false)
    sqlite.close()
    expect(schemaOf(path)).toEqual(before)
    openDatabase(path).close()
  })
})

function fresh(migrations: readonly string[]): string {
  const path = `${temporaryFolder()}/fresh.sqlite`
  const sqlite = new DatabaseSync(path)
  migrate(sqlite, path, migrations)
  sqlite.close()
  return path
}

function schemaOf(path: string) {
  const sqlite = new DatabaseSync(path)
  const objects = sqlite.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY type, name').all()
  const versions = sqlite
    .prepare('SELECT user_version, application_id FROM pragma_user_version, pragma_application_id')
    .get()
  sqlite.close()
  return {
    versions,
    objects: objects.map(({ sql, ...object }) => ({ ...object, sql: String(sql).replaceAll(/\s+/g, ' ') })),
  }
}

async function expectFailure(path: string, call: (store: Store) => Promise<unknown>, message: RegExp): Promise<void> {
  await using(sqliteStore({ path }), async store => {
    const error = await call(store).then(
      () => undefined,
      error => error,
    )
    expect(error).toBeInstanceOf(StoreError)
    expect(error).toMatchObject({ code: 'store_failed', retryable: false })
    expect(error.message).toContain(path)
    expect(error.message).toMatch(message)
  })
}

async function using(store: Store, use: (store: Store) => Promise<unknown>): Promise<void> {
  try {
    await use(store)
  } finally {
    await store.close()
  }
}

function thrownBy(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}
