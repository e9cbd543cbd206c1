import { Transform } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { expect, test } from 'vitest'
import { openRows } from '../../src/columnar/reframe.ts'
import { DeliveryError } from '../../src/core/errors.ts'
import { batchReadable, sinkWritable, streamContext, streamUnit } from '../../src/core/streams.ts'
import { memorySink } from '../../src/sinks/memory.ts'
import { type MessageBatch, rowBytes, type SinkSession } from '../../src/sinks/sink.ts'
import { countingAccess } from '../columnar/read-units.ts'
import { parquetFile } from '../columnar/staged-files.ts'
import { numbers } from './arrow-source.ts'

const file = await parquetFile("SELECT i AS id, 'row ' || i AS word FROM range(40000) r(i)", 'ROW_GROUP_SIZE 4096')
const files = [
  { name: 'a.parquet', bytes: file.length, rows: 40_000 },
  { name: 'b.parquet', bytes: file.length, rows: 40_000 },
]
const expected = Array.from({ length: 40_000 }, (_, id) => `{"id":${id},"word":"row ${id}"}`)

/** A session that keeps its rows, and whose writes the test can hold up. */
function session(
  write: (batch: MessageBatch, signal: AbortSignal) => Promise<void>,
  more: Partial<SinkSession> = {},
): SinkSession {
  return { limits: { inFlight: 2, batchRows: 1_000 }, write, close: async () => {}, ...more }
}

const textsOf = (batch: MessageBatch): string[] =>
  Array.from({ length: batch.rows }, (_, row) => Buffer.from(rowBytes(batch, row)).toString())

test('staged files are piped into a sink, every row in order', async () => {
  const unit = streamUnit({ files })
  const sink = memorySink({ name: 'out' })
  const opened = await sink.open(streamContext({ schema: numbers }))
  await pipeline(
    batchReadable(unit, opened, async () => countingAccess(file)),
    sinkWritable(unit, opened),
  )
  expect(sink.texts()).toEqual([...expected, ...expected])
})

test('something of the host fits in between', async () => {
  const unit = streamUnit({ files: files.slice(0, 1) })
  const sink = memorySink({ name: 'out' })
  const opened = await sink.open(streamContext({ schema: numbers }))
  let rows = 0
  const count = new Transform({
    objectMode: true,
    transform(batch: MessageBatch, _, done) {
      rows += batch.rows
      done(null, batch)
    },
  })
  await pipeline(
    batchReadable(unit, opened, async () => countingAccess(file), { lanes: 0 }),
    count,
    sinkWritable(unit, opened),
  )
  expect([rows, sink.texts().length]).toEqual([40_000, 40_000])
})

test('a sink that does not take more holds up the reading of the file', async () => {
  const unit = streamUnit({ files, spanRows: 1_000 })
  const gate = Promise.withResolvers<void>()
  const full = Promise.withResolvers<void>()
  let writing = 0
  const delivered: string[] = []
  const slow = session(async batch => {
    if (++writing === 2) full.resolve()
    await gate.promise
    delivered.push(...textsOf(batch))
  })
  const access = countingAccess(file)
  const done = pipeline(
    batchReadable(unit, slow, async () => access, { lanes: 0 }),
    sinkWritable(unit, slow),
  )
  await full.promise
  // what is ready by now is all that will come: turns of the event loop bring no more reads (the file is small enough to be read ahead)
  for (let turn = 0; turn < 200; turn++) await new Promise(resolve => setImmediate(resolve))
  const held = access.reads.length
  for (let turn = 0; turn < 200; turn++) await new Promise(resolve => setImmediate(resolve))
  expect(access.reads.length).toBe(held)
  expect(writing).toBe(2)
  expect(delivered).toEqual([])
  gate.resolve()
  await done
  expect(delivered.length).toBe(80_000)
})

test('the end waits for every acknowledgement, and then for the commit', async () => {
  const unit = streamUnit({ files: files.slice(0, 1) })
  const events: string[] = []
  const gate = Promise.withResolvers<void>()
  const last = Promise.withResolvers<void>()
  let rows = 0
  const committing = session(
    async batch => {
      rows += batch.rows
      if (rows === 40_000) {
        last.resolve()
        await gate.promise
      }
      events.push('written')
    },
    { commit: async () => void events.push('committed') },
  )
  const done = pipeline(
    batchReadable(unit, committing, async () => countingAccess(file)),
    sinkWritable(unit, committing),
  )
  await last.promise
  expect(events).not.toContain('committed')
  gate.resolve()
  await done
  expect(events.indexOf('committed')).toBe(events.length - 1)
  expect(events.filter(event => event === 'written').length).toBe(40)
})

test('a refused row fails the pipeline, aborts what was not committed, and ends the reading', async () => {
  const unit = streamUnit({ files })
  const events: string[] = []
  const refusing = session(
    async () => {
      throw new DeliveryError('too large', {
        failed: new Map([[3, new DeliveryError('too large')]]),
        rest: 'delivered',
      })
    },
    { commit: async () => void events.push('committed'), abort: async () => void events.push('aborted') },
  )
  const done = pipeline(
    batchReadable(unit, refusing, async () => countingAccess(file)),
    sinkWritable(unit, refusing),
  )
  await expect(done).rejects.toMatchObject({
    code: 'delivery_failed',
    message: '1 rows were refused for good: too large',
  })
  expect(events).toEqual(['aborted'])
})

test('a file that is missing fails the pipeline', async () => {
  const unit = streamUnit({ files })
  const sink = memorySink({ name: 'out' })
  const opened = await sink.open(streamContext({ schema: numbers }))
  const done = pipeline(
    batchReadable(unit, opened, async () => ({ path: '/nowhere/a.parquet' })),
    sinkWritable(unit, opened),
  )
  await expect(done).rejects.toMatchObject({ code: 'file_missing', message: expect.stringContaining('a.parquet') })
})

test.each([0, 1])(
  'destroyed, the reading ends at once, also where the access to a file hangs, with %i lanes',
  async lanes => {
    const unit = streamUnit({ files })
    const asked = Promise.withResolvers<AbortSignal>()
    const readable = batchReadable(
      unit,
      session(async () => {}),
      (_, signal) => {
        asked.resolve(signal)
        return new Promise(() => {})
      },
      { lanes },
    )
    const error = new Error('the host goes')
    const ended = finished(readable)
    readable.resume()
    const signal = await asked.promise
    readable.destroy(error)
    await expect(ended).rejects.toBe(error)
    expect(signal.aborted).toBe(true)
  },
)

test('a sink may have batches cut apart, whatever their framing', async () => {
  const unit = streamUnit({ files: files.slice(0, 1) })
  const context = streamContext({ schema: numbers })
  const encoding = { kind: 'kafka-batch', partitions: 1, timestamp: 'now', headers: {}, compression: 'none' } as const
  const ids: number[] = []
  const cutting = session(
    async batch => {
      const groups = [[0, 2], [batch.rows - 1]]
      const parts = await context.reframe(batch, groups)
      for (const part of parts) {
        const rows = await openRows({ ...part, encoding }, [...Array(part.rows).keys()])
        ids.push(...rows.map(({ payload }) => JSON.parse(Buffer.from(payload).toString()).id))
      }
    },
    { encoding, limits: { batchRows: 20_000, inFlight: 1 } },
  )
  const readable = batchReadable(unit, cutting, async () => countingAccess(file))
  await pipeline(readable, sinkWritable(unit, cutting))
  expect(ids).toEqual([0, 2, 19_999, 20_000, 20_002, 39_999])
})

test('what did not come out of batchReadable cannot be cut apart', async () => {
  const foreign = { unit: 'stream', name: 'foreign', rows: 1 } as MessageBatch
  await expect(streamContext({ schema: numbers }).reframe(foreign, [[0]])).rejects.toThrow(
    'only batches of batchReadable',
  )
})
