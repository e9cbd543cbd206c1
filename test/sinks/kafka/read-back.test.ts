import { Admin } from '@platformatic/kafka'
import { Kafka, logLevel } from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { resolveOptions } from '../../../src/core/options.ts'
import { verifyDelivery } from '../../../src/core/verify.ts'
import { type KafkaSinkOptions, kafkaSink } from '../../../src/sinks/kafka.ts'
import type { MessageBatch, Proof, ReadBack, Sink, SinkSession } from '../../../src/sinks/sink.ts'
import { wordOf } from '../../core/arrow-source.ts'
import { finish } from '../../core/number-jobs.ts'
import { type DeliveredNumbers, deliverNumbers, ROWS } from '../../core/verify-jobs.ts'
import { describeWith } from '../../servers/need.ts'
import { NEVER } from './contexts.ts'
import { type ReadRecord, topicsOf } from './topics.ts'

await describeWith('kafka', 'a Kafka topic read back', ({ brokers }) => {
  const topics = topicsOf(brokers)
  const IDS = { idHeader: 'id' }
  const good = {
    ...{ verdict: 'proven', problems: [], not_judged: [], delivered: ROWS, found: ROWS },
    ...{ missing: 0, wrong: 0, unexpected: 0, unreadable: 0 },
  }

  function sinkTo(topic: string, options: Partial<KafkaSinkOptions> = {}): Sink {
    return kafkaSink({ name: 'numbers', brokers, topic, batchBytes: 5_000, ...options })
  }

  async function deliver(
    options: Partial<KafkaSinkOptions> = {},
  ): Promise<DeliveredNumbers & { readonly topic: string }> {
    const topic = await topics.create({ partitions: 3 })
    return { topic, ...(await deliverNumbers({ sink: sinkTo(topic, options) })) }
  }

  /** Writes records with another client. */
  async function produce(topic: string, records: readonly Partial<ReadRecord>[]): Promise<void> {
    const producer = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).producer()
    await producer.connect()
    const messages = records.map(({ partition = 0, key = null, value = '', headers = {} }) => ({
      ...{ partition, key, value, headers },
    }))
    await producer.send({ topic, messages })
    await producer.disconnect()
  }

  async function deleteRecords(topic: string, partition: number, offset: bigint): Promise<void> {
    const admin = new Admin({ clientId: 'millrace-tests', bootstrapBrokers: [...brokers] })
    await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition, offset }] }] })
    await admin.close()
  }

  async function makeAnew(topic: string): Promise<void> {
    const admin = new Admin({ clientId: 'millrace-tests', bootstrapBrokers: [...brokers] })
    await admin.deleteTopics({ topics: [topic] })
    // a topic is there for a while after it was deleted
    const create = () =>
      admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 }).then(created => created.length)
    await expect.poll(() => create().catch(String), { timeout: 20_000 }).toBe(1)
    await admin.close()
  }

  /** What is said of a job whose records are in another topic, at the same offsets, after an edit. */
  async function verifyCopy(
    { topic, store, job }: Awaited<ReturnType<typeof deliver>>,
    options: Partial<KafkaSinkOptions>,
    edit: (records: readonly ReadRecord[]) => readonly Partial<ReadRecord>[],
  ) {
    const copy = await topics.create({ partitions: 3 })
    const records = edit(await topics.read(topic))
    if (records.length > 0) await produce(copy, records)
    const { destinations } = resolveOptions({ sinks: [sinkTo(copy, options)] })
    const record = (await store.get(job.job_id))!
    return verifyDelivery(store, record, destinations.get('kafka/numbers')!, NEVER)
  }

  test.each([
    ['their rows', 'row ids', IDS, {}],
    ['their rows, with keys and compressed', 'row ids', { ...IDS, key: 'word', compression: 'zstd' }, {}],
    ['a unique key', 'unique key', IDS, { uniqueKey: ['id'] }],
    ['nothing', 'count and sum', { key: 'word' }, {}],
  ] as const)('is proof, row for row, where ids name %s', async (_, by, options, delivery) => {
    const topic = await topics.create({ partitions: 3 })
    const { verify } = await deliverNumbers({ sink: sinkTo(topic, options), ...delivery })
    expect(await verify()).toMatchObject({ ...good, by, records: ROWS, duplicated: 0, others: 0, checksums: 'equal' })
  })

  test('whose ids are those of a job before is told from it', async () => {
    const topic = await topics.create({ partitions: 1 })
    const first = await deliverNumbers({ sink: sinkTo(topic, IDS) })
    const second = await deliverNumbers({ sink: sinkTo(topic, IDS) })
    await deliverNumbers({ sink: sinkTo(topic) })
    expect(await first.verify()).toMatchObject({ ...good, records: ROWS })
    expect(await second.verify()).toMatchObject({ ...good, records: ROWS })
  })

  test('is judged by a redelivery of some chunks where that was the last', async () => {
    const { engine, job, verify } = await deliver(IDS)
    await engine.redeliver(job.job_id, { type: 'kafka', name: 'numbers', chunks: { from: 1, to: 3 } })
    expect(await finish(engine, job)).toMatchObject({ status: 'completed' })
    const sent = ROWS - 3
    expect(await verify()).toMatchObject({ ...good, delivery: 1, delivered: sent, found: sent, records: sent })
  })

  test('is proof with markers around the rows', async () => {
    const topic = await topics.create({ partitions: 2 })
    for (const options of [IDS, {}]) {
      const { verify } = await deliverNumbers({ sink: sinkTo(topic, options), markers: true })
      expect(await verify()).toMatchObject({ ...good, records: ROWS })
    }
  })

  describe('with ids', () => {
    test('names the row whose place another record has taken', async () => {
      const delivered = await deliver(IDS)
      const stranger = { value: '{}', headers: { id: 'other-0-1' } }
      const isRow = ({ headers }: ReadRecord) => headers['id'] === `${delivered.job.job_id}-1-1234`
      const result = await verifyCopy(delivered, IDS, records =>
        records.map(record => (isRow(record) ? { ...record, ...stranger } : record)),
      )
      expect(result).toMatchObject({
        verdict: 'wrong',
        by: 'row ids',
        missing: 1,
        unexpected: 1,
        found: ROWS - 1,
        wrong: 0,
      })
      const place = { missing: 1, unexpected: 0, wrong: false, missing_rows: [1_234] }
      expect(result.places).toEqual([{ first_chunk: 1, last_chunk: 1, ...place }])
    })

    test.each([
      ['value', { value: '{"id":1237,"word":"eight"}' }],
      ['key', { key: 'somebody else' }],
    ])('finds the chunk of a row with another %s', async (_, change) => {
      const delivered = await deliver({ ...IDS, key: 'word' })
      const isRow = ({ headers }: ReadRecord) => headers['id'] === `${delivered.job.job_id}-1-1234`
      const result = await verifyCopy(delivered, { ...IDS, key: 'word' }, records =>
        records.map(record => (isRow(record) ? { ...record, ...change } : record)),
      )
      expect(result).toMatchObject({ verdict: 'wrong', missing: 0, found: ROWS, wrong: 1, checksums: 'different' })
      expect(result.places).toMatchObject([{ first_chunk: 1, wrong: true, missing: 0 }])
    })

    test('knows a row that should not be there', async () => {
      const delivered = await deliver(IDS)
      const result = await verifyCopy(delivered, IDS, ([first, ...others]) => [
        { ...first, headers: { id: `${delivered.job.job_id}-2-1` } },
        ...others,
      ])
      expect(result).toMatchObject({ verdict: 'wrong', missing: 1, unexpected: 1 })
    })

    test('holds a record without an id against nobody', async () => {
      const delivered = await deliver(IDS)
      const result = await verifyCopy(delivered, IDS, records =>
        records.map((record, index) => (index === 9 ? { ...record, headers: {} } : record)),
      )
      expect(result).toMatchObject({ verdict: 'unproven', missing: 0, unreadable: 1 })
    })

    test('judges a job as a whole where its records have none, after all', async () => {
      const { topic, store, job } = await deliver()
      const { destinations } = resolveOptions({ sinks: [sinkTo(topic, IDS)] })
      const record = (await store.get(job.job_id))!
      const result = await verifyDelivery(store, record, destinations.get('kafka/numbers')!, NEVER)
      expect(result).toMatchObject({ ...good, by: 'count and sum' })
    })
  })

  describe('where rows were sent twice', () => {
    /** The third batch goes out twice; what proves the first time is lost, as in a crash, or not. */
    function repeating(sink: Sink, keepsProof: boolean, batches: MessageBatch[]): Sink {
      const again = (session: SinkSession): SinkSession => ({
        ...session,
        async write(batch, signal): Promise<Proof> {
          if (batches.push(batch) !== 3) return (await session.write(batch, signal)) ?? []
          const once = await session.write({ ...batch, bytes: new Uint8Array(batch.bytes) }, signal)
          const twice = await session.write(batch, signal)
          return [...(keepsProof ? (once ?? []) : []), ...(twice ?? [])]
        },
      })
      return { ...sink, open: async context => again(await sink.open(context)) }
    }

    test.each([
      ['ids', IDS, {}, true],
      ['ids of a unique key', IDS, { uniqueKey: ['id'] }, true],
      ['nothing but checksums', {}, {}, true],
      ['ids, also of those that nothing proves', IDS, {}, false],
    ] as const)('says how many, by %s', async (_, options, delivery, keepsProof) => {
      const batches: MessageBatch[] = []
      const topic = await topics.create({ partitions: 1 })
      const sink = repeating(sinkTo(topic, options), keepsProof, batches)
      const { verify } = await deliverNumbers({ sink, ...delivery })
      const { rows } = batches[2]!
      expect(await verify()).toMatchObject({
        ...good,
        duplicated: rows,
        records: ROWS + rows,
        others: 0,
        checksums: 'equal',
      })
    })

    test("counts what nothing proves as somebody else's where there are no ids", async () => {
      const batches: MessageBatch[] = []
      const topic = await topics.create({ partitions: 1 })
      const { verify } = await deliverNumbers({ sink: repeating(sinkTo(topic), false, batches) })
      expect(await verify()).toMatchObject({ ...good, duplicated: 0, others: batches[2]!.rows })
    })

    test('says that it cannot tell without either', async () => {
      const topic = await topics.create({ partitions: 1 })
      const sink = repeating(sinkTo(topic), true, [])
      const { verify } = await deliverNumbers({ sink, checksums: false })
      const result = await verify()
      expect(result).toMatchObject({ verdict: 'unproven', problems: [], missing: 0, duplicated: 0 })
      expect(result.not_judged.join()).toContain('cannot be told')
    })
  })

  test.each([
    ['row ids', IDS],
    ['count and sum', {}],
  ] as const)(
    'is proof for the rows beside one that the broker refused, and for that when it was sent again (%s)',
    async (by, options) => {
      const topic = await topics.create({ partitions: 1 })
      const sink = sinkTo(topic, options)
      let isNew = true
      const shrinking: Sink = {
        ...sink,
        async open(context) {
          const session = await sink.open(context)
          if (!context.probe && isNew) await topics.setConfig(topic, 'max.message.bytes', '2000')
          isNew &&= context.probe
          return session
        },
      }
      const word = (id: number) => (id === 700 ? 'x'.repeat(3_000) : wordOf(id))
      const { verify, job, engine } = await deliverNumbers({ sink: shrinking, maxDeadLetters: 1 }, { word })
      expect(job.destinations).toMatchObject([{ status: 'completed', dead_lettered: 1 }])
      const delivered = ROWS - 1
      expect(await verify()).toMatchObject({
        ...good,
        by,
        delivered,
        found: delivered,
        records: delivered,
        checksums: 'equal',
      })
      await topics.setConfig(topic, 'max.message.bytes', '100000')
      expect(await engine.redrive(job.job_id, { type: 'kafka', name: 'numbers' })).toEqual({ redriven: 1, refused: 0 })
      expect(await verify()).toMatchObject({ ...good, by, records: ROWS, checksums: 'equal' })
    },
  )

  describe('of which records were removed', () => {
    test.each([
      ['row ids', IDS, {}],
      ['unique key', IDS, { uniqueKey: ['id'] }],
      ['count and sum', {}, {}],
    ] as const)('says what cannot be judged (%s)', async (by, options, delivery) => {
      const topic = await topics.create({ partitions: 1 })
      const { verify } = await deliverNumbers({ sink: sinkTo(topic, options), ...delivery })
      await deleteRecords(topic, 0, 11n)
      const result = await verify()
      expect(result).toMatchObject({
        verdict: 'unproven',
        by,
        problems: [],
        missing: 0,
        unreadable: 11,
        records: ROWS - 11,
      })
      expect(result.not_judged).toContainEqual(expect.stringContaining('partition 0 begins at offset 11'))
    })

    test('a topic that was made anew has lost them', async () => {
      const delivered = await deliver(IDS)
      const result = await verifyCopy(delivered, IDS, () => [])
      expect(result).toMatchObject({ verdict: 'wrong', missing: ROWS, found: 0, records: 0 })
      expect(result.problems.join()).toContain('made anew')
    })

    test('a topic that is made anew while it is read is read no further', async () => {
      const topic = await topics.create({ partitions: 1 })
      const [rows, word] = [40_000, (id: number) => 'x'.repeat(200) + id]
      const sink = sinkTo(topic, { batchBytes: 900_000, deadlineMs: 20_000 })
      const { job } = await deliverNumbers({ sink }, { files: [rows], word })
      const said: ReadBack[] = []
      const proof = [{ partition: 0, first: '0', last: `${rows - 1}` }]
      const delivered = { jobId: job.job_id, destination: job.destinations[0]!, delivery: 0, delivered: rows, proof }
      for await (const piece of sink.readBack!(delivered, NEVER)) if (said.push(piece) === 1) await makeAnew(topic)
      const read = said.reduce((sum, piece) => sum + ('rows' in piece ? piece.rows.length : 0), 0)
      expect([read > 0, read < rows]).toEqual([true, true])
      expect(said.at(-1)).toEqual({ unreadable: 0, reason: expect.stringContaining('made anew, or lost its end') })
    }, 60_000)
  })

  test('stops when it is aborted, and fails where there is no topic', async () => {
    const { engine, job, store } = await deliver()
    await expect(
      engine.verify(job.job_id, { type: 'kafka', name: 'numbers' }, { signal: AbortSignal.abort(new Error('enough')) }),
    ).rejects.toThrow('enough')
    const { destinations } = resolveOptions({ sinks: [sinkTo(topics.newName(), { deadlineMs: 300 })] })
    const record = (await store.get(job.job_id))!
    await expect(verifyDelivery(store, record, destinations.get('kafka/numbers')!, NEVER)).rejects.toMatchObject({
      code: 'destination_unavailable',
    })
  })
})
