import { Admin, ConnectionPool } from '@platformatic/kafka'
import { expect, test } from 'vitest'
import { produce } from '../../bench/produce.ts'
import { recordBatch, stamp } from '../../bench/record-batch.ts'
import { describeWith } from '../servers/need.ts'
import { topicsOf } from '../sinks/kafka/topics.ts'

await describeWith('kafka', 'record batches of the bench', ({ brokers }) => {
  test('are read back by another client, record by record', async () => {
    const topics = topicsOf(brokers)
    const topic = await topics.create({ partitions: 2 })
    const admin = new Admin({ clientId: 'bench', bootstrapBrokers: [...brokers] })
    const pool = new ConnectionPool('bench')
    const { brokers: nodes, topics: found } = await admin.metadata({ topics: [topic] })
    const connection = await pool.get(nodes.get(found.get(topic)!.partitions[1]!.leader)!)
    // the first number of bytes that takes two digits of a varint, and the last that takes one
    const values = ['a', 'b'.repeat(63), 'c'.repeat(64), 'd'.repeat(9_000), '']

    for (const sequence of [0, values.length]) {
      const batch = recordBatch(values.map(value => Buffer.from(value)))
      stamp(batch, { producerId: 77n, producerEpoch: 0, sequence })
      await produce.async(connection, topic, 1, batch.bytes)
    }

    const records = await topics.read(topic)
    expect(records.map(({ value }) => value)).toEqual([...values, ...values])
    expect(records.map(({ offset }) => offset)).toEqual(Array.from({ length: 10 }, (_, offset) => `${offset}`))
    expect(new Set(records.map(({ partition }) => partition))).toEqual(new Set([1]))
    await Promise.all([pool.close(), admin.close()])
  })

  test('a batch that the broker refuses is an error with its code', async () => {
    const topic = await topicsOf(brokers).create({ partitions: 1 })
    const admin = new Admin({ clientId: 'bench', bootstrapBrokers: [...brokers] })
    const pool = new ConnectionPool('bench')
    const { brokers: nodes, topics: found } = await admin.metadata({ topics: [topic] })
    const connection = await pool.get(nodes.get(found.get(topic)!.partitions[0]!.leader)!)
    const batch = recordBatch([Buffer.from('a')])
    stamp(batch, { producerId: 78n, producerEpoch: 0, sequence: 0 })
    batch.bytes[17]! ^= 1 // of the CRC

    const refused = await produce.async(connection, topic, 0, batch.bytes).catch(error => error)

    expect(messagesOf(refused)).toMatch(/partition 0 answered with error 2\b/)
    await Promise.all([pool.close(), admin.close()])
  })
})

/** The client wraps what reading a response throws. */
function messagesOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return `${error.message} ${messagesOf(error.cause)}`
}
