import { expect, test } from 'vitest'
import { makeReceipt } from '../../src/core/receipt.ts'
import type { Checkpoint } from '../../src/core/unit.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import type { JobRecord, Manifest, Store } from '../../src/stores/store.ts'
import { deliverNumbers, ROWS } from './verify-jobs.ts'

const UID = '3f0c6a52-7d1e-8b7a-9c43-0e8f6d2b1a90'

interface Stored {
  readonly rows: readonly (number | undefined)[]
  readonly checkpoints: readonly Partial<Checkpoint>[]
  readonly proof?: Awaited<ReturnType<Store['proof']>>
  readonly delivery?: number
}

/** Of a job with one destination, of which the store says this. */
async function receiptOf({ rows, checkpoints, proof = [], delivery = 0 }: Stored) {
  const nothing = { done: true, delivered: 0, filtered: 0, deadLettered: 0, bytes: 0, checksum: '0'.repeat(16) }
  const manifest = {
    files: rows.map((rows, index) => ({ name: `${index}`, bytes: 1, ...(rows === undefined ? {} : { rows }) })),
  }
  const store: Store = {
    ...memoryStore(),
    manifest: async () => manifest as unknown as Manifest,
    checkpoints: async () => ({ [UID]: checkpoints.map(checkpoint => ({ ...nothing, ...checkpoint }) as Checkpoint) }),
    proof: async () => proof,
  }
  const destination = { type: 'kafka', name: 'rows', uid: UID, state: 'delivering', delivery }
  const record = { jobId: 'job', request: { table: 'numbers' }, destinationRecords: [destination] }
  const { destinations } = await makeReceipt(store, record as unknown as JobRecord)
  return destinations[0]!
}

test('a job that was delivered accounts for every row', async () => {
  const { engine, job } = await deliverNumbers({ sink: memorySink({ name: 'out' }) })
  const receipt = await engine.receipt(job.job_id)
  expect(receipt).toMatchObject({
    job_id: job.job_id,
    organization_id: 'default',
    table: 'numbers',
    status: 'completed',
    num_chunks: 3,
  })
  const [destination] = receipt.destinations
  expect(destination).toMatchObject({
    ...{ type: 'memory', name: 'out', status: 'completed', delivery: 0, error_message: null, chunks_left: 0 },
    ...{ staged: ROWS, delivered: ROWS, filtered: 0, dead_lettered: 0, differences: [], proof: [] },
    checksum: { hash: 'XXH64', sum: expect.stringMatching(/^[\da-f]{16}$/) },
  })
  expect(destination!.chunks.map(({ staged, delivered }) => [staged, delivered])).toEqual([
    [3, 3],
    [2_000, 2_000],
    [1, 1],
  ])
  const total = destination!.chunks.reduce((sum, { checksum }) => sum + BigInt(`0x${checksum}`), 0n)
  expect(BigInt(`0x${destination!.checksum!.sum}`)).toBe(BigInt.asUintN(64, total))
  expect(JSON.parse(JSON.stringify(receipt))).toEqual(receipt)
  await expect(engine.receipt(job.job_id, { organization_id: 'other' })).rejects.toMatchObject({ code: 'not_found' })
})

test('a chunk that is not through is held to what it has settled', async () => {
  const receipt = await receiptOf({
    rows: [100, 100, 100],
    checkpoints: [
      { chunk: 0, row: 100, delivered: 90, filtered: 8, deadLettered: 2 },
      { chunk: 1, row: 60, done: false, delivered: 60 },
    ],
  })
  expect(receipt).toMatchObject({
    staged: 300,
    delivered: 150,
    filtered: 8,
    dead_lettered: 2,
    chunks_left: 2,
    differences: [],
  })
  expect(receipt.chunks[2]).toMatchObject({ chunk: 2, staged: 100, row: 0, done: false, delivered: 0 })
})

test('a difference is said', async () => {
  const receipt = await receiptOf({
    rows: [100, 50, undefined],
    checkpoints: [
      { chunk: 0, row: 100, delivered: 99 },
      { chunk: 1, row: 50, delivered: 50 },
      { chunk: 2, row: 7, delivered: 7 },
    ],
  })
  expect(receipt.differences).toEqual([{ chunk: 0, expected: 100, settled: 99 }])
  expect(receipt.staged).toBe(157)
})

test('a file with other rows than the source counted is a difference as well', async () => {
  const receipt = await receiptOf({ rows: [100], checkpoints: [{ chunk: 0, row: 90, delivered: 90 }] })
  expect(receipt.differences).toEqual([{ chunk: 0, expected: 100, settled: 90 }])
})

test('chunks that a redelivery leaves out count for nothing', async () => {
  const receipt = await receiptOf({
    rows: [100, 50],
    delivery: 1,
    checkpoints: [
      { chunk: 0, row: 0 },
      { chunk: 1, row: 50, delivered: 50 },
    ],
  })
  expect(receipt).toMatchObject({ staged: 50, differences: [] })
  expect(receipt.chunks.map(({ left_out }) => left_out)).toEqual([true, false])
})

test('there is no checksum where rows were not summed up', async () => {
  const checksum = '00000000000000ff'
  const summed = { chunk: 0, row: 1, delivered: 1, checksum }
  const receipt = await receiptOf({ rows: [1, 1], checkpoints: [summed, { chunk: 1, row: 1, delivered: 1 }] })
  expect(receipt.checksum).toBeNull()
  expect(receipt.chunks.map(({ checksum }) => checksum)).toEqual([checksum, null])
  const filtered = await receiptOf({ rows: [1, 1], checkpoints: [summed, { chunk: 1, row: 1, filtered: 1 }] })
  expect(filtered.checksum?.sum).toBe(checksum)
})

test('ten thousand chunks and a hundred thousand entries of proof are no trouble', async () => {
  const rows = Array.from({ length: 10_000 }, () => 100)
  const receipt = await receiptOf({
    rows,
    checkpoints: rows.map((row, chunk) => ({ chunk, row, delivered: row, checksum: 'f'.repeat(16) })),
    proof: Array.from({ length: 100_000 }, (_, index) => ({
      partition: index % 2,
      first: `${index}`,
      last: `${index + 1}`,
    })),
  })
  expect(receipt).toMatchObject({ staged: 1_000_000, delivered: 1_000_000, differences: [] })
  expect(receipt.proof).toEqual([
    { partition: 0, first: '0', last: '99999' },
    { partition: 1, first: '1', last: '100000' },
  ])
  expect(receipt.checksum?.sum).toBe(BigInt.asUintN(64, -10_000n).toString(16))
})

test('while there is no manifest, nothing is known', async () => {
  const record = {
    jobId: 'job',
    request: { table: 'numbers' },
    destinationRecords: [{ uid: UID, state: 'pending', delivery: 0 }],
  }
  const receipt = await makeReceipt(memoryStore(), record as unknown as JobRecord)
  expect(receipt).toMatchObject({ num_chunks: null, time_completed: null })
  expect(receipt.destinations[0]).toMatchObject({ staged: null, chunks_left: null, chunks: [], differences: [] })
})
