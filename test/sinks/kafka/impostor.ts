/** Produces under a producer id that is somebody else's. */
import * as kafka from '@platformatic/kafka'
import { loadChecksum } from '../../../src/sinks/kafka/crc32c.ts'
import { type ProduceAnswer, producing } from '../../../src/sinks/kafka/produce.ts'
import { stampBatch } from '../../../src/sinks/kafka/stamp.ts'
import { Wire } from '../../../src/sinks/kafka/wire.ts'

export interface Impersonation {
  /** `host:port` of the partition's leader. */
  readonly broker: string
  readonly topic: string
  readonly recordBatch: Uint8Array
  readonly producerId: bigint
  readonly epoch: number
  readonly sequence: number
}

export async function produceAs(parts: Impersonation): Promise<ProduceAnswer> {
  const { broker, topic, recordBatch, ...stamp } = parts
  const [host, port] = broker.split(':') as [string, string]
  const connection = new kafka.Connection('impostor')
  await connection.connect(host, Number(port))
  try {
    stampBatch(recordBatch, { ...stamp, timestamp: Date.now() }, loadChecksum(kafka))
    const request = { topic, partition: 0, acks: -1, timeoutMs: 10_000, recordBatch }
    return (await producing(kafka, 9, 'impostor')(new Wire(kafka, connection, 10_000), request))!
  } finally {
    await connection.close()
  }
}
