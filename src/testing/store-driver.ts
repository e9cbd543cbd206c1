/** Jobs, owners and reports for the tests of a store. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type ErrorCode, isMillraceError } from '../core/errors.ts'
import type { Checkpoint, DeadLetter, DestinationRef, UnitReport } from '../core/unit.ts'
import type { Lease, Manifest, NewJob, Store } from '../stores/store.ts'

/** A test by name; the store is empty and used by nobody else. */
export type StoreCase = readonly [name: string, body: (store: Store) => Promise<void>]

export const KAFKA: DestinationRef = { type: 'kafka', name: 'rows', uid: 'a3b1c7d2-90e4-5f16-8a27-1b2c3d4e5f60' }
export const HOOK: DestinationRef = { type: 'webhook', name: 'hook', uid: '0c9d8e7f-6a5b-5c4d-9e3f-2a1b0c9d8e7f' }

export function testJob(change: Partial<NewJob> & { readonly table?: string } = {}): NewJob {
  const { table = 'base.transfers', ...rest } = change
  const destinations = change.destinations ?? [KAFKA, HOOK]
  return {
    jobId: randomUUID(),
    organizationId: 'default',
    request: {
      table,
      backfill_window: { start: '2026-03-01T00:00:00', end: '2026-04-01T00:00:00' },
      destinations: destinations.map(({ type, name }) => ({ type, name })),
    },
    partitionKey: 'block_timestamp',
    destinations,
    timeCreated: '2026-11-01T12:00:00.000Z',
    ...rest,
  }
}

/** A new job and its first owner. */
export async function ownedJob(store: Store, change?: Parameters<typeof testJob>[0]): Promise<OwnedJob> {
  const job = testJob(change)
  await store.create(job)
  const lease = await store.claim({ jobId: job.jobId, epoch: 0, beat: 0 })
  assert(lease, 'a new job could not be claimed')
  return { jobId: job.jobId, lease }
}

export interface OwnedJob {
  readonly jobId: string
  readonly lease: Lease
}

export function testManifest(chunks: number): Manifest {
  return {
    schema: { table: 'table', columns: [], partitionKeys: ['key'] },
    files: Array.from({ length: chunks }, (_, chunk) => ({ name: `${chunk}.parquet`, bytes: 1_000 + chunk })),
    spanRows: 8_192,
    units: Array.from({ length: chunks }, (_, chunk) => [chunk]),
  }
}

/** A job that delivers this many chunks. */
export async function deliveringJob(
  store: Store,
  chunks: number,
  change?: Parameters<typeof testJob>[0],
): Promise<OwnedJob> {
  const owned = await ownedJob(store, change)
  await store.transition(owned.lease, 'staging', 'transporting', { manifest: testManifest(chunks) })
  return owned
}

/** Tallies that follow from the row, so that sums can be foretold: a tenth of the rows filtered, 100 bytes for each of the others. */
export function checkpointAt(chunk: number, row: number, done = false): Checkpoint {
  const filtered = Math.floor(row / 10)
  const delivered = row - filtered
  const checksum = (BigInt(row) * 0x9e3779b97f4a7c15n).toString(16).padStart(32, '0').slice(-16)
  return { chunk, row, done, delivered, filtered, deadLettered: 0, bytes: delivered * 100, checksum }
}

const TIME = '2026-11-02T09:00:00.000Z'

export function letterAt(chunk: number, row: number): DeadLetter {
  return {
    chunk,
    row,
    payload: `{"row":"${chunk}/${row}"}`,
    key: row % 2 ? `key ${row}` : null,
    cause: 'too large',
    time: TIME,
  }
}

export function unitId(jobId: string, to: DestinationRef, number = 0, delivery = 0): string {
  return `${jobId}/${to.uid}/${delivery}/${number}`
}

export type Progress = Partial<Pick<UnitReport, 'checkpoints' | 'deadLetters' | 'proof' | 'delivery'>>

/** Reports of one started unit. */
export interface Reporter {
  readonly unit: string
  readonly attempt: number
  report(progress: Progress, maxDeadLetters?: number): ReturnType<Store['report']>
  /** Checkpoints only: chunk, row, and whether the chunk is done. */
  settle(...checkpoints: readonly (readonly [chunk: number, row: number, done?: boolean])[]): Promise<void>
}

export async function startReporter(
  store: Store,
  { jobId, lease }: OwnedJob,
  to: DestinationRef = KAFKA,
  number = 0,
  delivery = 0,
): Promise<Reporter> {
  const unit = unitId(jobId, to, number, delivery)
  const attempt = await store.startUnit(lease, unit)
  const report = ({ checkpoints = [], deadLetters = [], proof = [] }: Progress, maxDeadLetters = 0) =>
    store.report(
      lease,
      { unit, attempt, jobId, destination: to.uid, delivery, checkpoints, deadLetters, proof },
      maxDeadLetters,
    )
  return {
    unit,
    attempt,
    report,
    async settle(...checkpoints) {
      await report({ checkpoints: checkpoints.map(checkpoint => checkpointAt(...checkpoint)) })
    },
  }
}

/** Everything that the store says of a job. */
export async function everythingOf(store: Store, jobId: string) {
  const record = await store.get(jobId)
  const destinations = record?.destinations ?? []
  return {
    record,
    manifest: await store.manifest(jobId),
    checkpoints: await store.checkpoints(jobId),
    deadLetters: await Promise.all(destinations.map(({ uid }) => collect(store.deadLetters(jobId, uid)))),
    proof: await Promise.all(destinations.map(({ uid }) => store.proof(jobId, uid))),
  }
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const item of items) collected.push(item)
  return collected
}

export async function checkpointsOf(store: Store, jobId: string, to: DestinationRef = KAFKA) {
  return (await store.checkpoints(jobId))[to.uid] ?? []
}

export async function destinationOf(store: Store, jobId: string, to: DestinationRef = KAFKA) {
  const record = await store.get(jobId)
  const destination = record?.destinationRecords.find(({ uid }) => uid === to.uid)
  assert(destination, `job ${jobId} has no record of its destination ${to.uid}`)
  return destination
}

export async function chunksLeft(store: Store, jobId: string): Promise<number | undefined> {
  return (await store.get(jobId))?.chunksLeft
}

/** The promise must reject with this code. */
export async function refused(code: ErrorCode, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, error => {
    assert(isMillraceError(error), `expected an error of millrace, not ${String(error)}`)
    assert.equal(error.code, code, error.message)
    return true
  })
}

/** How many of them were fulfilled; the others must have been rejected with this code. */
export async function fulfilled(code: ErrorCode, promises: readonly Promise<unknown>[]): Promise<number> {
  const results = await Promise.allSettled(promises)
  for (const result of results) if (result.status === 'rejected') await refused(code, Promise.reject(result.reason))
  return results.filter(result => result.status === 'fulfilled').length
}
