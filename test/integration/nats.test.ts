/** The whole engine into streams of a real server, which is stopped and started again in the middle. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createEngine } from '../../src/core/engine.ts'
import type { Job } from '../../src/core/job.ts'
import type { EngineOptions } from '../../src/core/options.ts'
import { natsSink } from '../../src/sinks/nats.ts'
import type { Sink } from '../../src/sinks/sink.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { arrowSource, wordOf } from '../core/arrow-source.ts'
import { allNumbers, finish } from '../core/number-jobs.ts'
import { startNats } from '../servers/nats.ts'
import { describeWith } from '../servers/need.ts'
import { freePorts } from '../servers/process.ts'
import { type StoredMessage, streamsOf } from '../sinks/nats/streams.ts'

await describeWith('nats', 'the engine with natsSink', ({ server, program }) => {
  let dir: string
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'millrace-nats-'))
  })
  afterAll(() => rm(dir, { recursive: true, force: true }))

  async function backfill(sink: Sink, options: Partial<EngineOptions> = {}, files = [3_000, 1, 5_000]): Promise<Job> {
    const store = memoryStore()
    const source = arrowSource({ dir: join(dir, sink.name), files })
    const engine = createEngine({ source, sinks: [sink], store, lanes: 1, ...options })
    try {
      return await finish(engine, await engine.create(allNumbers(sink)))
    } finally {
      await engine.close()
      await store.close()
    }
  }

  const idsOf = (stored: readonly StoredMessage[]): number[] =>
    stored.map(({ value }) => JSON.parse(value).id as number)
  const upTo = (count: number) => Array.from({ length: count }, (_, id) => id)

  test('every row arrives under the subject of its word, once, under its name', async () => {
    const streams = await streamsOf(server)
    const stream = await streams.create()
    const job = await backfill(natsSink({ name: 'plain', servers: server, subject: `${stream}.{word}` }))
    expect(job).toMatchObject({ status: 'completed', error_message: null })

    const stored = await streams.read(stream)
    expect(idsOf(stored).toSorted((a, b) => a - b)).toEqual(upTo(8_001))
    const firsts = [0, 3_000, 3_001]
    for (const { subject, value, headers } of stored) {
      const { id, word } = JSON.parse(value) as { id: number; word: string }
      expect([word, subject]).toEqual([wordOf(id), `${stream}.${word}`])
      const chunk = firsts.findLastIndex(first => first <= id)
      expect(headers).toEqual({ 'Nats-Msg-Id': `${job.job_id}-${chunk}-${id - firsts[chunk]!}` })
    }
    await streams.close()
  })

  test('rows that have no subject become dead letters where these are allowed', async () => {
    const streams = await streamsOf(server)
    const stream = await streams.create()
    const store = memoryStore()
    const word = (id: number) => (id % 1_000 === 7 ? 'two words' : wordOf(id))
    const sink = natsSink({ name: 'letters', servers: server, subject: `${stream}.{word}` })
    const engine = createEngine({
      source: arrowSource({ dir: join(dir, 'letters'), files: [5_000], word }),
      sinks: [{ sink, maxDeadLetters: 10 }],
      store,
      lanes: 1,
    })
    const job = await finish(engine, await engine.create(allNumbers(sink)))
    expect(job).toMatchObject({ status: 'completed', destinations: [{ delivered: 4_995, dead_lettered: 5 }] })
    const rows: number[] = []
    for await (const { row, cause } of engine.deadLetters(job.job_id)) {
      rows.push(row)
      expect(cause).toContain('column "word" holds white space')
    }
    expect(rows).toEqual(upTo(5).map(thousand => thousand * 1_000 + 7))
    expect((await streams.read(stream)).length).toBe(4_995)
    await engine.close()
    await store.close()
    await streams.close()
  })

  test.skipIf(program === null).each(['none', 'key'] as const)(
    'a server that is killed in the middle and comes back has every row once, with order %s (needs a server that tests may start)',
    async order => {
      const [port] = (await freePorts(1)) as [number]
      const own = { port, storeDir: join(dir, `store-${order}`) }
      let running = await startNats(program!, own)
      const servers = `127.0.0.1:${port}`
      const streams = await streamsOf(servers)
      const stream = await streams.create()
      let restarted: Promise<void> | undefined
      const restart = async () => {
        await running.stop()
        running = await startNats(program!, own)
      }
      const sink = natsSink({ name: order, servers, subject: `${stream}.{word}` })
      let writes = 0
      const disturbed: Sink = {
        ...sink,
        async open(context) {
          const session = await sink.open(context)
          const write: typeof session.write = (batch, signal) => {
            const writing = session.write(batch, signal)
            // while this one is on its way
            if (++writes === 5) restarted = restart()
            return writing
          }
          return { ...session, write }
        },
      }

      const job = await backfill(disturbed, { delivery: { order } })
      await restarted
      expect(job).toMatchObject({ status: 'completed', error_message: null })
      const stored = await streams.read(stream)
      expect(idsOf(stored).toSorted((a, b) => a - b)).toEqual(upTo(8_001))
      if (order !== 'none') {
        const chunkOf = (id: number) => [0, 3_000, 3_001].findLastIndex(first => first <= id)
        const lasts = new Map<string, number>()
        for (const [index, id] of idsOf(stored).entries()) {
          const key = `${stored[index]!.subject}/${chunkOf(id)}`
          expect(id).toBeGreaterThan(lasts.get(key) ?? -1)
          lasts.set(key, id)
        }
      }
      await streams.close()
      await running.stop()
    },
  )

  test('what was delivered is proven by reading it back, and what is gone is told', async () => {
    const streams = await streamsOf(server)
    const stream = await streams.create()
    const store = memoryStore()
    const sink = natsSink({ name: 'proven', servers: server, subject: `${stream}.{word}` })
    const source = arrowSource({ dir: join(dir, 'proven'), files: [1_000, 500] })
    const engine = createEngine({ source, sinks: [sink], store, lanes: 1 })
    const { job_id } = await finish(engine, await engine.create(allNumbers(sink)))
    expect(await engine.verify(job_id, sink)).toMatchObject({ verdict: 'proven', by: 'row ids' })
    await streams.manager.streams.deleteMessage(stream, 700)
    const again = await engine.verify(job_id, sink)
    expect(again.verdict).toBe('unproven')
    expect(JSON.stringify(again)).toContain(`stream ${stream} no longer holds 1 of the messages`)
    await streams.manager.streams.purge(stream)
    expect(JSON.stringify(await engine.verify(job_id, sink))).toContain('no longer holds 1500 of the messages')
    await engine.close()
    await store.close()
    await streams.close()
  })

  test('a stream that is missing fails the job before anything is staged', async () => {
    const job = await backfill(natsSink({ name: 'missing', servers: server, subject: 'nobody.rows' }))
    expect(job).toMatchObject({ status: 'failed', error_code: 'destination_misconfigured', num_chunks: null })
    expect(job.error_message).toContain('no stream takes nobody.rows')
  })
})
