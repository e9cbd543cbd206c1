import { describe, expect, test } from 'vitest'
import { DeliveryError } from '../../src/core/errors.ts'
import { type MessageBatch, type TextColumn, textBytes } from '../../src/sinks/sink.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { allNumbers, finish } from './number-jobs.ts'
import {
  decode,
  engineOf,
  finished,
  idsOf,
  lettersOf,
  picky,
  ROWS,
  store,
  useEngines,
  withWrite,
} from './picky-sink.ts'

useEngines()

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

  test('of a job that failed works alike', async () => {
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
    const flaky = withWrite(out.sink, async (write, batch, signal) => {
      if (out.refuses.size === 0 && failures-- > 0) throw new DeliveryError('busy', { retryable: true })
      return write(batch, signal)
    })
    const engine = engineOf([flaky])
    const job = await finished(engine, flaky)
    out.refuses = new Set()
    expect(await engine.redrive(job.job_id, out.to)).toEqual({ redriven: 1, refused: 0 })
    expect(failures).toBe(-1)
  })

  test('keeps to the pace of the destination', async () => {
    const out = picky(
      'out',
      Array.from({ length: 150 }, (_, id) => id),
    )
    const engine = engineOf([{ sink: out.sink, pace: { rowsPerSecond: 100 } }])
    const job = await finished(engine, out.sink)
    out.refuses = new Set()
    const start = performance.now()
    expect(await engine.redrive(job.job_id, out.to)).toEqual({ redriven: 150, refused: 0 })
    // a second's worth goes at once
    expect(performance.now() - start).toBeGreaterThan(400)
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
    const held = withWrite(out.sink, async (write, batch, signal) => {
      writing.resolve()
      if (hold) await gate.promise
      return write(batch, signal)
    })
    const engine = engineOf([held], { keepStagedMs: { completed: 60_000 } })
    const { job_id } = await engine.create(allNumbers(out.to))
    await writing.promise
    await expect(engine.redrive(job_id, out.to)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/^job .* is transporting: /),
    })
    gate.resolve()
    await finish(engine, { job_id })

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
    const hangs = withWrite(out.sink, (write, batch, signal) => {
      if (!hanging) return write(batch, signal)
      writes.push(batch)
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    })
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

function texts(column: TextColumn, rows: number): (string | null)[] {
  return Array.from({ length: rows }, (_, row) => {
    const bytes = textBytes(column, row)
    return bytes && decode(bytes)
  })
}
