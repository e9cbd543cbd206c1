import type { NewJob, Store } from '../../src/stores/store.ts'

export const IDS = {
  waiting: '00000000-0000-4000-8000-000000000001',
  moving: '00000000-0000-4000-8000-000000000002',
  failed: '00000000-0000-4000-8000-000000000003',
}

const UID = '3f0c6a52-7d1e-8b7a-9c43-0e8f6d2b1a90'

/** A job that nobody has taken up, one under way, and one that failed; the newest last. */
export async function storeJobs(store: Store): Promise<void> {
  await store.create(newJob(IDS.waiting, 'flights', '2026-03-01T12:00:00.000Z'))

  await store.create(newJob(IDS.moving, 'transfers', '2026-03-02T12:00:00.000Z'))
  const moving = await claim(store, IDS.moving)
  const files = [
    { name: '0.parquet', bytes: 1 },
    { name: '1.parquet', bytes: 1 },
  ]
  await store.transition(moving, 'staging', 'transporting', {
    manifest: {
      schema: { table: 'flights', columns: [], partitionKeys: ['date'] },
      files,
      spanRows: 8_192,
      units: [[0], [1]],
    },
  })
  const unit = `${IDS.moving}/${UID}/0/0`
  const tallies = { delivered: 1_200, filtered: 34, deadLettered: 0, bytes: 45_200, checksum: '0123456789abcdef' }
  await store.report(
    moving,
    {
      unit,
      attempt: await store.startUnit(moving, unit),
      jobId: IDS.moving,
      destination: UID,
      delivery: 0,
      checkpoints: [{ chunk: 0, row: 1_234, done: true, ...tallies }],
      deadLetters: [],
      proof: [],
    },
    0,
  )

  await store.create(newJob(IDS.failed, 'flights', '2026-03-03T12:00:00.000Z'))
  const failed = await claim(store, IDS.failed)
  const error = { code: 'source_failed', message: 'the warehouse is asleep' }
  await store.transition(failed, 'staging', 'failed', { error, timeCompleted: '2026-03-03T12:01:00.000Z' })
}

export async function claim(store: Store, jobId: string) {
  const seen = (await store.unfinished()).find(job => job.jobId === jobId)
  const lease = seen && (await store.claim(seen))
  if (!lease) throw new Error(`job ${jobId} could not be claimed`)
  return lease
}

function newJob(jobId: string, table: string, timeCreated: string): NewJob {
  return {
    jobId,
    organizationId: 'default',
    request: {
      job_name: `${table} of January`,
      table,
      backfill_window: { start: '2001-01-01', end: '2001-02-01' },
      filter: { column: 'origin', values: ['SFO', 'OAK'] },
      destinations: [{ type: 'file', name: 'out' }],
    },
    partitionKey: 'date',
    destinations: [{ type: 'file', name: 'out', uid: UID }],
    timeCreated,
  }
}
