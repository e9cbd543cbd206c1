/** Jobs as clients see them: created, read, listed, wished of. */
import type { DestinationState, JobStatus } from '../../core/job.ts'
import { Moved } from '../../core/thread-rpc.ts'
import type { DestinationRef } from '../../core/unit.ts'
import { addWishes, jobExists } from '../rules.ts'
import type { Claimable, DestinationRecord, JobRecord, ListQuery, NewJob, StagedState, Wishes } from '../store.ts'
import type { Database } from './database.ts'

/** A page ends behind the record that brings its requests to this many bytes. */
const PAGE_BYTES = 4 * 1_024 * 1_024
const PAGE_RECORDS = 200

/** The request is never parsed in this thread, and leaves it as bytes that are moved: it may hold 100,000 filter values. */
export type StoredRecord = Omit<JobRecord, 'request'> & { readonly requestJson: Uint8Array<ArrayBuffer> }
export type StoredJob = Omit<NewJob, 'request'> & { readonly requestJson: string; readonly table: string }

/** Part of an answer; `more`: ask again from behind the last item. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly more: boolean
}

export function jobCalls(db: Database) {
  return {
    create(job: StoredJob): void {
      db.write(() => insertJob(db, job))
    },

    get(jobId: string): Moved<StoredRecord | undefined> {
      return moved(db.read(() => readJob(db, jobId)))
    },

    listPage(query: ListQuery, limit: number): Moved<Page<StoredRecord>> {
      return db.read(() => {
        const rows = selectJobs(db, query, Math.min(limit, PAGE_RECORDS))
        const items: StoredRecord[] = []
        let bytes = 0
        for (const row of rows) {
          const record = toRecord(db, row)
          items.push(record)
          bytes += record.requestJson.byteLength
          if (bytes >= PAGE_BYTES) break
        }
        const more = items.length < rows.length || rows.length === PAGE_RECORDS
        return new Moved({ items, more }, items.map(buffer))
      })
    },

    wish(jobId: string, wishes: Wishes, when: readonly JobStatus[]): Moved<StoredRecord | undefined> {
      const wished = db.write(() => {
        const job = readJob(db, jobId)
        if (!job || !when.includes(job.status)) return job
        const merged = addWishes(job.wishes, wishes)
        db.run('UPDATE jobs SET wishes = $wishes WHERE job_id = $jobId', { jobId, wishes: JSON.stringify(merged) })
        return { ...job, wishes: merged }
      })
      return moved(wished)
    },

    unfinished(): Claimable[] {
      return db.all(
        `SELECT job_id AS jobId, epoch, beat FROM jobs WHERE status IN ('staging', 'transporting') ORDER BY time_created, job_id`,
      )
    },

    manifest(jobId: string): string | undefined {
      const sql = 'SELECT manifest FROM manifests WHERE job_id = $jobId'
      return db.get<{ manifest: string }>(sql, { jobId })?.manifest
    },
  }
}

export function moved(record: StoredRecord | undefined): Moved<StoredRecord | undefined> {
  return new Moved(record, record ? [buffer(record)] : [])
}

function buffer(record: StoredRecord): ArrayBuffer {
  return record.requestJson.buffer
}

function insertJob(db: Database, job: StoredJob): void {
  const { jobId, organizationId, table, partitionKey, timeCreated, requestJson } = job
  const inserted = db.run(
    `INSERT INTO jobs (job_id, organization_id, table_name, partition_key, time_created)
     VALUES ($jobId, $organizationId, $table, $partitionKey, $timeCreated) ON CONFLICT DO NOTHING`,
    { jobId, organizationId, table, partitionKey, timeCreated },
  )
  if (inserted === 0) throw jobExists(jobId)
  db.run('INSERT INTO requests (job_id, request) VALUES ($jobId, $requestJson)', { jobId, requestJson })
  insertDestinations(db, jobId, job.destinations)
}

export function insertDestinations(db: Database, jobId: string, destinations: readonly DestinationRef[]): void {
  const sql = 'INSERT INTO destinations (job_id, uid, type, name) VALUES ($jobId, $uid, $type, $name)'
  for (const { uid, type, name } of destinations) db.run(sql, { jobId, uid, type, name })
}

interface JobRow {
  jobId: string
  organizationId: string
  partitionKey: string
  timeCreated: string
  status: JobStatus
  epoch: number
  beat: number
  wishes: string
  staging: string | null
  staged: 'kept' | 'discarding' | 'gone' | null
  stagedUntil: string | null
  numChunks: number | null
  chunksLeft: number | null
  error: string | null
  timeCompleted: string | null
}

const JOB_COLUMNS = `job_id AS jobId, organization_id AS organizationId, partition_key AS partitionKey,
  time_created AS timeCreated, status, epoch, beat, wishes, staging, staged,
  staged_until AS stagedUntil, num_chunks AS numChunks, chunks_left AS chunksLeft,
  error, time_completed AS timeCompleted`

export function readJob(db: Database, jobId: string): StoredRecord | undefined {
  const row = db.get<JobRow>(`SELECT ${JOB_COLUMNS} FROM jobs WHERE job_id = $jobId`, { jobId })
  return row && toRecord(db, row)
}

function selectJobs(db: Database, query: ListQuery, limit: number): JobRow[] {
  const { sql, params } = listStatement(query)
  return db.all(sql, { ...params, limit })
}

/** Every combination has an index that gives its rows in order, so that a page reads just its own rows. */
export function listStatement({ organizationId, status, table, before }: ListQuery): {
  sql: string
  params: Record<string, string>
} {
  const conditions = [
    organizationId !== undefined && 'organization_id = $organizationId',
    status !== undefined && 'status = $status',
    table !== undefined && 'table_name = $table',
    before !== undefined && '(time_created, job_id) < ($timeCreated, $jobId)',
  ].filter(condition => condition !== false)
  const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : ''
  return {
    sql: `SELECT ${JOB_COLUMNS} FROM jobs ${where} ORDER BY time_created DESC, job_id DESC LIMIT $limit`,
    params: {
      ...(organizationId !== undefined && { organizationId }),
      ...(status !== undefined && { status }),
      ...(table !== undefined && { table }),
      ...(before !== undefined && { timeCreated: before.timeCreated, jobId: before.jobId }),
    },
  }
}

function toRecord(db: Database, row: JobRow): StoredRecord {
  const destinationRecords = readDestinations(db, row.jobId)
  return {
    jobId: row.jobId,
    organizationId: row.organizationId,
    requestJson: readRequest(db, row.jobId),
    partitionKey: row.partitionKey,
    destinations: destinationRecords.map(({ type, name, uid }) => ({ type, name, uid })),
    timeCreated: row.timeCreated,
    status: row.status,
    epoch: row.epoch,
    beat: row.beat,
    wishes: JSON.parse(row.wishes),
    staging: parse(row.staging),
    staged: stagedOf(row),
    numChunks: row.numChunks ?? undefined,
    chunksLeft: row.chunksLeft ?? undefined,
    error: parse(row.error),
    timeCompleted: row.timeCompleted ?? undefined,
    destinationRecords,
  }
}

function stagedOf({ staged, stagedUntil }: JobRow): StagedState | undefined {
  if (staged === null) return undefined
  return staged === 'kept' && stagedUntil !== null ? { state: staged, until: stagedUntil } : { state: staged }
}

function readRequest(db: Database, jobId: string): Uint8Array<ArrayBuffer> {
  const sql = 'SELECT CAST(request AS BLOB) AS request FROM requests WHERE job_id = $jobId'
  return db.get<{ request: Uint8Array<ArrayBuffer> }>(sql, { jobId })!.request
}

function readDestinations(db: Database, jobId: string): DestinationRecord[] {
  const rows = db.all<
    Omit<DestinationRecord, 'error' | 'saved'> & { state: DestinationState; error: string | null; saved: string | null }
  >(
    `SELECT type, name, uid, state, error, saved, delivery, delivered, filtered, dead_lettered AS deadLettered, bytes, chunks_done AS chunksDone
     FROM destinations WHERE job_id = $jobId ORDER BY id`,
    { jobId },
  )
  return rows.map(row => ({ ...row, error: parse(row.error), saved: parse(row.saved) }))
}

function parse<T>(text: string | null): T | undefined {
  return text === null ? undefined : JSON.parse(text)
}
