import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, test } from 'vitest'
import { FormatError, StoreError } from '../../src/core/errors.ts'
import type { JobStatus } from '../../src/core/job.ts'
import { jobTransitions, type Transitions } from '../../src/core/transitions.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Lease, Manifest, Store } from '../../src/stores/store.ts'

const MANIFEST: Manifest = {
  schema: { table: 't', columns: [], partitionKeys: [] },
  files: [{ name: '0.parquet', bytes: 7 }],
  spanRows: 8_192,
  units: [[0]],
}
const DAMAGED = new FormatError('file_corrupt', '0.parquet: damaged')
const GONE = { state: 'gone' } as const

/** How each status is reached. */
const MOVES: Readonly<Record<Exclude<JobStatus, 'staging'>, (transitions: Transitions) => Promise<void>>> = {
  transporting: transitions => transitions.beginTransport(MANIFEST),
  completed: transitions => transitions.complete(GONE),
  failed: transitions => transitions.fail(DAMAGED, GONE),
  cancelled: transitions => transitions.cancel(GONE),
}
const ALLOWED = [
  'staging transporting',
  'staging failed',
  'staging cancelled',
  'transporting completed',
  'transporting failed',
  'transporting cancelled',
]

const from = ['staging', 'transporting', 'completed', 'failed', 'cancelled'] as const
const to = ['transporting', 'completed', 'failed', 'cancelled'] as const
const table = from.flatMap(before => to.map(after => [before, after] as const))

/** A stored job in the given status, in the hands of its owner. */
async function jobIn(
  status: JobStatus,
): Promise<{ store: Store; lease: Lease; transitions: Transitions; moves: JobStatus[] }> {
  const store = memoryStore()
  const request = {
    table: 'orders',
    backfill_window: { start: 0, end: 1 },
    destinations: [{ type: 'null', name: 'n' }],
  }
  await store.create({
    jobId: 'job',
    organizationId: 'default',
    request,
    partitionKey: 'id',
    destinations: [{ type: 'null', name: 'n', uid: 'uid' }],
    timeCreated: new Date(0).toISOString(),
  })
  const lease = (await store.claim({ jobId: 'job', epoch: 0, beat: 0 }))!
  const moves: JobStatus[] = []
  const transitions = jobTransitions(store, lease, 'staging', () => moves.push(transitions.status))
  if (status === 'transporting' || status === 'completed') await transitions.beginTransport(MANIFEST)
  if (status !== 'staging' && status !== 'transporting') await MOVES[status](transitions)
  moves.length = 0
  return { store, lease, transitions, moves }
}

describe('a job', () => {
  test.each(table.filter(move => ALLOWED.includes(move.join(' '))))('goes from %s to %s', async (before, after) => {
    const { store, transitions, moves } = await jobIn(before)
    await MOVES[after](transitions)
    const record = await store.get('job')
    expect([transitions.status, moves, record?.status]).toEqual([after, [after], after])
    expect(record?.error).toEqual(
      after === 'failed' ? { code: 'file_corrupt', message: '0.parquet: damaged' } : undefined,
    )
    expect(typeof record?.timeCompleted).toBe(after === 'transporting' ? 'undefined' : 'string')
    if (after === 'transporting') expect(await store.manifest('job')).toEqual(MANIFEST)
  })

  test.each(table.filter(move => !ALLOWED.includes(move.join(' '))))(
    'cannot go from %s to %s',
    async (before, after) => {
      const { store, transitions, moves } = await jobIn(before)
      const stored = await store.get('job')
      await expect(MOVES[after](transitions)).rejects.toThrow(`a job cannot go from ${before} to ${after}`)
      expect([transitions.status, moves, await store.get('job')]).toEqual([before, [], stored])
    },
  )
})

test('says when a job ended', async () => {
  const { store, transitions } = await jobIn('staging')
  const before = Date.now()
  await transitions.cancel(GONE)
  const { timeCompleted } = (await store.get('job'))!
  expect(timeCompleted).toBe(new Date(timeCompleted!).toISOString())
  expect(Date.parse(timeCompleted!)).toBeGreaterThanOrEqual(before)
  expect(Date.parse(timeCompleted!)).toBeLessThanOrEqual(Date.now())
})

test('stays where it was if the store refuses', async () => {
  const { store, lease, transitions, moves } = await jobIn('staging')
  await store.claim((await store.unfinished())[0]!)
  await expect(transitions.beginTransport(MANIFEST)).rejects.toMatchObject({ code: 'lease_lost' })
  expect([transitions.status, moves]).toEqual(['staging', []])
  const broken: Store = { ...store, transition: () => Promise.reject(new StoreError('disk full')) }
  const onBroken = jobTransitions(broken, lease, 'transporting', () => moves.push('completed'))
  await expect(onBroken.complete(GONE)).rejects.toThrow('disk full')
  expect([onBroken.status, moves]).toEqual(['transporting', []])
})

test('tells the diagnostics channel of each status that is stored, with the error of a failure', async () => {
  const messages: unknown[] = []
  const listen = (message: unknown): void => void messages.push(message)
  subscribe('millrace:job', listen)
  const { transitions } = await jobIn('transporting')
  await transitions.fail(DAMAGED, GONE)
  await transitions.complete(GONE).catch(() => {})
  unsubscribe('millrace:job', listen)
  expect(messages).toEqual([
    { job_id: 'job', status: 'transporting' },
    { job_id: 'job', status: 'failed', error: DAMAGED },
  ])
})
