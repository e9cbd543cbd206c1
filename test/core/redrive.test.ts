import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { partitionOf } from '../../src/columnar/murmur2.ts'
import type { KafkaEncoding } from '../../src/columnar/read-plan.ts'
import { readRecords } from '../../src/columnar/record-batch.ts'
import type { StoredDeadLetter } from '../../src/core/dead-letters.ts'
import { createEngine, type Engine } from '../../src/core/engine.ts'
import { DeliveryError } from '../../src/core/errors.ts'
import type { Job } from '../../src/core/job.ts'
import type { EngineOptions } from '../../src/core/options.ts'
import {
  type MessageBatch,
  rowBytes,
  type Sink,
  type SinkContext,
  type SinkSession,
  type TextColumn,
  textBytes,
} from '../../src/sinks/sink.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Store } from '../../src/stores/store.ts'
import { arrowSource, wordOf } from './arrow-source.ts'

/** Chunks of 3, 200 and 1 rows: ids 0 to 203. */
const FILES = [3, 200, 1]
const ROWS = 204

let dir: string
let store: Store
const engines: Engine[] = []

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-redrive-'))
  store = memoryStore()
})

afterEach(async () => {
  await Promise.all(engines.splice(0).map(engine => engine.close()))
  await rm(dir, { recursive: true, force: true })
})

function engineOf(sinks: readonly Sink[], options: Partial<EngineOptions> = {}): Engine {
  const engine = createEngine({
    source: arrowSource({ dir, files: FILES }),
    sinks,
    store,
    lanes: 1,
    delivery: { maxDeadLetters: 1_000, checksums: true },
    ...options,
  })
  engines.push(engine)
  return engine
}

async function finished(engine: Engine, ...sinks: readonly Sink[]): Promise<Job> {
  const { job_id } = await engine.create({
    table: 'numbers',
    backfill_window: { start: 0, end: 1_000_000 },
    destinations: sinks.map(({ type, name }) => ({ type, name })),
  })
  let last: Job | undefined
  for await (const job of engine.watch(job_id)) last = job
  return last!
}

async function lettersOf(engine: Engine, { job_id }: Job, to?: { type: string; name: string }) {
  const letters: StoredDeadLetter[] = []
  for await (const letter of engine.deadLetters(job_id, to)) letters.push(letter)
  return letters
}

interface Picky {
  readonly sink: Sink
  readonly to: { readonly type: string; readonly name: string }
  /** Ids that are refused. */
  refuses: ReadonlySet<number>
  cause: string
  /** What was written since it was last emptied, refused rows included. */
  readonly batches: MessageBatch[]
  readonly contexts: SinkContext[]
}

/** Refuses rows by their id. */
function picky(name: string, refuses: readonly number[], extras: Partial<SinkSession> = {}): Picky {
  const it: Picky = {
    to: { type: 'picky', name },
    refuses: new Set(refuses),
    cause: 'not today',
    batches: [],
    contexts: [],
    sink: {
      type: 'picky',
      name,
      async open(context) {
        it.contexts.push(context)
        return {
          limits: { batchRows: 50 },
          async write(batch) {
            // copies: the memory of a batch is used again
            it.batches.push({ ...batch, bytes: batch.bytes.slice(), ends: batch.ends.slice() })
            const failed = new Map<number, Error>()
            idsOf(batch).forEach((id, row) => {
              if (it.refuses.has(id)) failed.set(row, new Error(it.cause))
            })
            if (failed.size > 0) throw new DeliveryError('some were refused', { failed, rest: 'delivered' })
            return batch.spans.map(({ chunk, row }) => ({ first: `${chunk}.${row}`, last: batch.name }))
          },
          close: async () => {},
          ...extras,
        }
      },
    },
  }
  return it
}

const decode = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

function idsOf(batch: MessageBatch): number[] {
  return Array.from({ length: batch.rows }, (_, row) => (JSON.parse(decode(rowBytes(batch, row))) as { id: number }).id)
}

function texts(column: TextColumn, rows: number): (string | null)[] {
  return Array.from({ length: rows }, (_, row) => {
    const bytes = textBytes(column, row)
    return bytes && decode(bytes)
  })
}

describe('dead letters', () => {
  test('are listed by destination, chunk and row, each with its row, cause and time', async () => {
    const first = picky('first', [150, 2, 7])
    const second = picky('second', [203])
    second.cause = 'no room'
    const engine = engineOf([first.sink, second.sink])
    const job = await finished(engine, first.sink, second.sink)
    expect(job).toMatchObject({ status: 'completed', destinations: [{ dead_lettered: 3 }, { dead_lettered: 1 }] })
    const letter = (destination: object, chunk: number, row: number, id: number, cause: string) => ({
      ...{ destination, chunk, row, key: null, cause },
      payload: `{"id":${id},"word":"${wordOf(id)}"}`,
      time: expect.stringMatching(/^\d{4}-.*Z$/),
    })
    const ofSecond = letter(second.to, 2, 0, 203, 'no room')
    expect(await lettersOf(engine, job)).toEqual([
      letter(first.to, 0, 2, 2, 'not today'),
      letter(first.to, 1, 4, 7, 'not today'),
      letter(first.to, 1, 147, 150, 'not today'),
      ofSecond,
    ])
    expect(await lettersOf(engine, job, second.to)).toEqual([ofSecond])
  })

  test('of a job or destination that is not there are an error', async () => {
    const out = picky('out', [])
    const engine = engineOf([out.sink])
    const job = await finished(engine, out.sink)
    const list = async (jobId: string, to?: { type: string; name: string }, organization_id?: string) => {
      for await (const _ of engine.deadLetters(jobId, to, organization_id ? { organization_id } : {})) return
    }
    await expect(list('nope')).rejects.toMatchObject({ code: 'not_found' })
    await expect(list(job.job_id, undefined, 'other')).rejects.toMatchObject({ code: 'not_found' })
    await expect(list(job.job_id, { type: 'picky', name: 'x' })).rejects.toMatchObject({
      code: 'invalid_request',
      message: `destination: job ${job.job_id} does not deliver to picky/x, but to picky/out`,
    })
    expect(await lettersOf(engine, job)).toEqual([])
  })
})

describe('a redrive', () => {
  test('sends dead letters again in order and in batches of the sink, and counts what was taken as delivered', async () => {
    const refused = Array.from({ length: 120 }, (_, index) => index + 1)
    const out = picky('out', refused)
    const other = picky('other', [9])
    const engine = engineOf([out.sink, other.sink])
    const job = await finished(engine, out.sink, other.sink)
    expect(job.destinations[0]).toMatchObject({ delivered: ROWS - 120, dead_lettered: 120 })
    const clean = picky('out', [])
    const whole = await finished(engineOf([clean.sink], { store: memoryStore() }), clean.sink)

    out.batches.length = 0
    out.refuses = new Set([5, 70])
    out.cause = 'still not'
    expect(await engine.redrive(job.job_id, out.to)).toEqual({ redriven: 118, refused: 2 })
    expect(out.batches.map(idsOf)).toEqual([refused.slice(0, 50), refused.slice(50, 100), refused.slice(100)])
    expect(out.contexts.at(-1)).toMatchObject({ jobId: job.job_id, probe: false })
    expect(await lettersOf(engine, job)).toMatchObject([
      { destination: out.to, chunk: 1, row: 2, payload: '{"id":5,"word":"five"}', cause: 'still not' },
      { destination: out.to, chunk: 1, row: 67, cause: 'still not' },
      { destination: other.to, chunk: 1, row: 6, cause: 'not today' },
    ])
    expect((await engine.get(job.job_id)).destinations[0]).toMatchObject({ delivered: ROWS - 2, dead_lettered: 2 })

    out.refuses = new Set()
    expect(await engine.redrive(job.job_id, out.to)).toEqual({ redriven: 2, refused: 0 })
    expect(await engine.redrive(job.job_id, out.to)).toEqual({ redriven: 0, refused: 0 })
    expect(await lettersOf(engine, job, out.to)).toEqual([])
    const after = await engine.get(job.job_id)
    expect(after).toMatchObject({ status: 'completed', error_message: null })
    expect(after.destinations[0]).toEqual({ ...whole.destinations[0] })
    const [uid, wholeUid] = [job.destinations[0]!.uid, whole.destinations[0]!.uid]
    const sums = (await store.checkpoints(job.job_id))[uid]!.map(({ checksum }) => checksum)
    expect(sums).not.toContain('0'.repeat(16))
    expect(uid).toBe(wholeUid)
    expect(out.contexts.at(-1)!.saved).toBeUndefined()
  })

  test('of a job that failed or was cancelled works alike', async () => {
    const out = picky('out', [1])
    const bad = picky(
      'bad',
      Array.from({ length: ROWS }, (_, id) => id),
    )
    const engine = engineOf([out.sink, { ...bad.sink }], { delivery: { maxDeadLetters: 5 } })
    const job = await finished(engine, out.sink, bad.sink)
    expect(job).toMatchObject({ status: 'failed', error_code: 'delivery_failed' })
    expect(job.destinations.map(({ error_code }) => error_code)).toEqual([null, 'delivery_failed'])
    out.refuses = new Set()
    expect(await engine.redrive(job.job_id, out.to)).toEqual({ redriven: 1, refused: 0 })
    expect(await engine.get(job.job_id)).toMatchObject({ status: 'failed', destinations: [{ delivered: ROWS }, {}] })
  })

  test('gives a sink the names and columns of rows that it asks for, as a first delivery does', async () => {
    const out = picky('out', [3, 4, 203], { asks: { ids: true, columns: ['word', 'id'] } })
    const engine = engineOf([out.sink])
    const job = await finished(engine, out.sink)
    const first = new Map<number, unknown>()
    const remember = (into: Map<number, unknown>) => {
      for (const batch of out.batches.splice(0)) {
        const { ids, columns, rows } = batch
        const values = [ids!, columns!['word']!, columns!['id']!].map(column => texts(column, rows))
        idsOf(batch).forEach((id, row) => {
          into.set(
            id,
            values.map(column => column[row]),
          )
        })
      }
    }
    remember(first)
    out.refuses = new Set()
    await engine.redrive(job.job_id, out.to)
    const again = new Map<number, unknown>()
    remember(again)
    expect([...again.keys()]).toEqual([3, 4, 203])
    for (const [id, values] of again) expect(values).toEqual(first.get(id))
  })

  test('retries as a delivery does what may pass', async () => {
    let failures = 2
    const out = picky('out', [3])
    const { sink } = out
    const flaky: Sink = {
      ...sink,
      async open(context) {
        const session = await sink.open(context)
        return {
          ...session,
          async write(batch, signal) {
            if (out.refuses.size === 0 && failures-- > 0) throw new DeliveryError('busy', { retryable: true })
            return session.write(batch, signal)
          },
        }
      },
    }
    const engine = engineOf([flaky])
    const job = await finished(engine, flaky)
    out.refuses = new Set()
    expect(await engine.redrive(job.job_id, out.to)).toEqual({ redriven: 1, refused: 0 })
    expect(failures).toBe(-1)
  })

  test('that breaks before what was written is stored sends the same batches again', async () => {
    const out = picky('out', [3, 4, 5])
    const engine = engineOf([out.sink])
    const job = await finished(engine, out.sink)
    out.refuses = new Set()
    out.batches.length = 0
    const { redriven } = store
    store.redriven = () => Promise.reject(new Error('the disk is full'))
    await expect(engine.redrive(job.job_id, out.to)).rejects.toThrow('the disk is full')
    expect(await lettersOf(engine, job)).toHaveLength(3)
    store.redriven = redriven
    expect(await engine.redrive(job.job_id, out.to)).toEqual({ redriven: 3, refused: 0 })
    const [first, second] = out.batches
    expect(out.batches).toHaveLength(2)
    expect([second!.name, second!.unit]).toEqual([first!.name, first!.unit])
    expect(await store.proof(job.job_id, job.destinations[0]!.uid)).toContainEqual({ first: '1.0', last: second!.name })
  })

  test('counts nothing before the commit of a sink that has one, and aborts what fails', async () => {
    const log: string[] = []
    let broken = true
    const out = picky('out', [3, 4, 5], {
      limits: { batchRows: 2, inFlight: 1 },
      begin: async ({ id, chunks }) => void (chunks.length === 0 && log.push(`begin ${id}`)),
      commit: async ({ id, chunks }) => {
        if (chunks.length > 0) return
        log.push(`commit ${id}, ${(await lettersOf(engine, job)).length} left`)
        if (broken) throw new DeliveryError('no commit')
      },
      abort: async ({ id }) => void log.push(`abort ${id}`),
    })
    const engine = engineOf([out.sink])
    const job = await finished(engine, out.sink)
    out.refuses = new Set([5])
    await expect(engine.redrive(job.job_id, out.to)).rejects.toThrow('no commit')
    expect(await lettersOf(engine, job)).toMatchObject([{ cause: 'not today' }, {}, { cause: 'not today' }])
    broken = false
    expect(await engine.redrive(job.job_id, out.to)).toEqual({ redriven: 2, refused: 1 })
    const id = log[0]!.slice('begin '.length)
    expect(id).toMatch(new RegExp(`^${job.job_id}/.*/0/redrive-[0-9a-f]{16}$`))
    // the same rows under the same name, as a crash would repeat them; those of the two pages differ
    const page = (log: readonly string[]) => log.map(line => line.replace(/redrive-[0-9a-f]+/, 'redrive'))
    const short = id.replace(/redrive-.*/, 'redrive')
    expect(page(log)).toEqual([
      `begin ${short}`,
      `commit ${short}, 3 left`,
      `abort ${short}`,
      `begin ${short}`,
      `commit ${short}, 3 left`,
      `begin ${short}`,
      `commit ${short}, 1 left`,
    ])
    expect(log[3]).toBe(log[0])
    expect(log[5]).not.toBe(log[0])
  })

  test('is refused, with nothing changed, where there is nothing to be sent to', async () => {
    const out = picky('out', [3])
    const engine = engineOf([out.sink])
    const job = await finished(engine, out.sink)
    const sent = out.batches.length
    await expect(engine.redrive('nope', out.to)).rejects.toMatchObject({ code: 'not_found' })
    await expect(engine.redrive(job.job_id, out.to, { organization_id: 'other' })).rejects.toMatchObject({
      code: 'not_found',
    })
    await expect(engine.redrive(job.job_id, { type: 'picky', name: 'x' })).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining('does not deliver to picky/x'),
    })
    const elsewhere = engineOf([picky('another', []).sink])
    await expect(elsewhere.redrive(job.job_id, out.to)).rejects.toMatchObject({
      code: 'invalid_request',
      message: 'destination: no sink picky/out is registered',
    })
    expect(out.batches).toHaveLength(sent)
    expect(await lettersOf(engine, job)).toMatchObject([{ cause: 'not today' }])
  })

  test('waits for the end of the job, and is alone while it is under way', async () => {
    const gate = Promise.withResolvers<void>()
    const writing = Promise.withResolvers<void>()
    let hold = true
    const out = picky('out', [3])
    const { sink } = out
    const held: Sink = {
      ...sink,
      async open(context) {
        const session = await sink.open(context)
        return {
          ...session,
          async write(batch, signal) {
            writing.resolve()
            if (hold) await gate.promise
            return session.write(batch, signal)
          },
        }
      },
    }
    const engine = engineOf([held], { keepStagedMs: { completed: 60_000 } })
    const { job_id } = await engine.create({
      table: 'numbers',
      backfill_window: { start: 0, end: 1_000_000 },
      destinations: [out.to],
    })
    await writing.promise
    await expect(engine.redrive(job_id, out.to)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/^job .* is transporting: /),
    })
    gate.resolve()
    for await (const _ of engine.watch(job_id));

    const again = Promise.withResolvers<void>()
    hold = false
    out.refuses = new Set()
    const { redriven } = store
    store.redriven = async (...args) => {
      await again.promise
      return redriven(...args)
    }
    const first = engine.redrive(job_id, out.to)
    await expect.poll(() => engine.redrive(job_id, out.to).catch(error => error.code)).toBe('conflict')
    await expect(engine.redeliver(job_id, out.to)).rejects.toMatchObject({ code: 'conflict' })
    again.resolve()
    expect(await first).toEqual({ redriven: 1, refused: 0 })
    await engine.redeliver(job_id, out.to)
  })

  test('ends when its signal aborts or the engine is closed, and keeps what was not taken', async () => {
    let hanging = false
    const writes: MessageBatch[] = []
    const out = picky('out', [3, 4])
    const { sink } = out
    const hangs: Sink = {
      ...sink,
      async open(context) {
        const session = await sink.open(context)
        return {
          ...session,
          write(batch, signal) {
            if (!hanging) return session.write(batch, signal)
            writes.push(batch)
            return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
          },
        }
      },
    }
    const engine = engineOf([hangs])
    const job = await finished(engine, hangs)
    hanging = true
    const leaving = new AbortController()
    const first = engine.redrive(job.job_id, out.to, { signal: leaving.signal })
    first.catch(() => {})
    await expect.poll(() => writes.length).toBe(1)
    leaving.abort(new Error('enough'))
    await expect(first).rejects.toThrow('enough')
    const second = engine.redrive(job.job_id, out.to)
    second.catch(() => {})
    await expect.poll(() => writes.length).toBe(2)
    await engine.close()
    await expect(second).rejects.toMatchObject({ code: 'cancelled', message: 'the engine was closed' })
    await expect(engine.redrive(job.job_id, out.to)).rejects.toMatchObject({ code: 'cancelled' })
    expect(await lettersOf(engine, job)).toHaveLength(2)
  })
})

describe('dead letters of record batches', () => {
  const HEADERS = { origin: 'millrace' }

  /** A topic in memory, whose broker refuses records of some ids. */
  function topic(refuses: readonly number[], maxBatchBytes?: number) {
    const records: { partition: number; key: string | null; value: string; batch: Buffer }[] = []
    const it = { refuses: new Set(refuses), records, maxBatchBytes }
    const sink: Sink = {
      type: 'topic',
      name: 'out',
      async open() {
        const encoding: KafkaEncoding = {
          ...{
            kind: 'kafka-batch',
            partitions: 3,
            key: 'word',
            timestamp: 'now',
            headers: HEADERS,
            compression: 'none',
          },
          ...(it.maxBatchBytes === undefined ? {} : { maxBatchBytes: it.maxBatchBytes }),
        }
        return {
          encoding,
          retries: 'own',
          async write({ bytes, partition }) {
            const batch = Buffer.from(bytes)
            const failed = new Map<number, Error>()
            readRecords(bytes, bytes.subarray(61), encoding).forEach((record, row) => {
              const value = decode(record.value)
              if (it.refuses.has((JSON.parse(value) as { id: number }).id)) failed.set(row, new Error('invalid record'))
              else records.push({ partition: partition!, key: record.key && decode(record.key), value, batch })
            })
            if (failed.size > 0) throw new DeliveryError('refused', { failed, rest: 'delivered' })
          },
          close: async () => {},
        }
      },
    }
    return { ...it, sink, to: { type: 'topic', name: 'out' }, set: (change: object) => Object.assign(it, change) }
  }

  test('are sent again with their keys, partitions and headers', async () => {
    const out = topic([3, 14, 150])
    const engine = engineOf([out.sink])
    const job = await finished(engine, out.sink)
    const letters = await lettersOf(engine, job)
    expect(letters.map(({ key, payload }) => [key, payload])).toEqual([
      ['three', '{"id":3,"word":"three"}'],
      ['four', '{"id":14,"word":"four"}'],
      ['zero', '{"id":150,"word":"zero"}'],
    ])
    out.records.length = 0
    out.set({ refuses: new Set() })
    expect(await engine.redrive(job.job_id, out.to)).toEqual({ redriven: 3, refused: 0 })
    expect(out.records).toHaveLength(3)
    for (const { key, payload } of letters) {
      const record = out.records.find(({ value }) => value === payload)!
      expect(record.key).toBe(key)
      expect(record.partition).toBe(partitionOf(Buffer.from(key!), 3))
      expect(record.batch.includes('\x0corigin\x10millrace')).toBe(true)
    }
  })

  test('that are larger than the topic takes keep their key, and pass once it takes more', async () => {
    // 61 bytes of header, and about 50 of a record
    const out = topic([], 80)
    const engine = engineOf([out.sink])
    const job = await finished(engine, out.sink)
    const letters = await lettersOf(engine, job)
    expect(letters).toHaveLength(ROWS)
    expect(letters[1]).toMatchObject({
      key: 'one',
      payload: '{"id":1,"word":"one"}',
      cause: expect.stringContaining('80'),
    })
    expect(await engine.redrive(job.job_id, out.to)).toEqual({ redriven: 0, refused: ROWS })
    out.set({ maxBatchBytes: 1_000 })
    expect(await engine.redrive(job.job_id, out.to)).toEqual({ redriven: ROWS, refused: 0 })
    expect(new Set(out.records.map(({ value }) => value)).size).toBe(ROWS)
  })
})
