import { Admin } from '@platformatic/kafka'
import { expect, test } from 'vitest'
import { ProduceLine } from '../../bench/produce.ts'
import { recordBatch, stamp } from '../../bench/record-batch.ts'
import { describeWith } from '../servers/need.ts'
import { topicsOf } from '../sinks/kafka/topics.ts'

await describeWith('kafka', 'record batches of the bench', ({ brokers }) => {
  test('are read back by another client, record by record', async () => {
    const topics = topicsOf(brokers)
    const topic = await topics.create({ partitions: 2 })
    const line = await leaderOf(brokers, topic, 1)
    // the first number of bytes that takes two digits of a varint, and the last that takes one
    const values = ['a', 'b'.repeat(63), 'c'.repeat(64), 'd'.repeat(9_000), '']

    for (const sequence of [0, values.length]) {
      const batch = recordBatch(values.map(value => Buffer.from(value)))
      stamp(batch, { producerId: 77n, producerEpoch: 0, sequence })
      await line.produce(topic, 1, batch.bytes)
    }

    const records = await topics.read(topic)
    expect(records.map(({ value }) => value)).toEqual([...values, ...values])
    expect(records.map(({ offset }) => offset)).toEqual(Array.from({ length: 10 }, (_, offset) => `${offset}`))
    expect(new Set(records.map(({ partition }) => partition))).toEqual(new Set([1]))
    line.close()
  })

  test('a batch that the broker refuses is an error with its code', async () => {
    const topic = await topicsOf(brokers).create({ partitions: 1 })
    const line = await leaderOf(brokers, topic, 0)
    const batch = recordBatch([Buffer.from('a')])
    stamp(batch, { producerId: 78n, producerEpoch: 0, sequence: 0 })
    batch.bytes[17]! ^= 1 // of the CRC

    const refused = line.produce(topic, 0, batch.bytes)

    await expect(refused).rejects.toThrow(/error 2$/)
    line.close()
  })
})

async function leaderOf(brokers: readonly string[], topic: string, partition: number): Promise<ProduceLine> {
  const admin = new Admin({ clientId: 'bench', bootstrapBrokers: [...brokers] })
  const { brokers: nodes, topics } = await admin.metadata({ topics: [topic] })
  await admin.close()
  return new ProduceLine(nodes.get(topics.get(topic)!.partitions[partition]!.leader)!)
}
