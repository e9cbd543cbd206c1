import { describe, expect, test } from 'vitest'
import { partitionOf } from '../../src/columnar/murmur2.ts'
import type { KafkaEncoding } from '../../src/columnar/read-plan.ts'
import { readRecords } from '../../src/columnar/record-batch.ts'
import { DeliveryError } from '../../src/core/errors.ts'
import type { Sink } from '../../src/sinks/sink.ts'
import { wordOf } from './arrow-source.ts'
import { decode, engineOf, finished, lettersOf, picky, ROWS, useEngines } from './picky-sink.ts'

useEngines()

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
