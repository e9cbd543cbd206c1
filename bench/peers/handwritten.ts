/**
 * The script that this engine replaces, as somebody competent writes it in an hour: parquet-wasm, an Arrow table, `toJSON` of each
 * row, kafkajs. No checkpoints, no retries beyond the client's.
 */
import { openAsBlob } from 'node:fs'
import { tableFromIPC } from 'apache-arrow'
import { Kafka, logLevel, Partitioners } from 'kafkajs'
import { ParquetFile } from 'parquet-wasm/node'
import { measured, print, settings } from '../child.ts'
import { KAFKA_SETTINGS } from '../settings.ts'

export interface HandwrittenSettings {
  readonly paths: readonly string[]
  readonly brokers: readonly string[]
  readonly topic: string
  readonly warmupTopic: string
  readonly rows: number
  readonly warmupRows: number
}

const { paths, brokers, topic, warmupTopic, rows, warmupRows } = settings<HandwrittenSettings>()
const kafka = new Kafka({ brokers: [...brokers], clientId: 'bench', logLevel: logLevel.ERROR })
// messages without a key go round the partitions, so a request carries a full batch for each of them
const producer = kafka.producer({ idempotent: true, createPartitioner: Partitioners.DefaultPartitioner })
const REQUEST_ROWS = KAFKA_SETTINGS.batchRows * KAFKA_SETTINGS.partitions
// faster than a replacer, which JSON.stringify would call for every value
Object.assign(BigInt.prototype, {
  toJSON(this: bigint) {
    return Number(this)
  },
})

await producer.connect()
await send(warmupTopic, warmupRows)
print(await measured(() => send(topic, rows)))
await producer.disconnect()

async function send(topic: string, most: number): Promise<number> {
  let sent = 0
  let messages: { value: string }[] = []
  const flush = async (): Promise<void> => {
    if (messages.length > 0) await producer.send({ topic, acks: -1, messages })
    sent += messages.length
    messages = []
  }
  for (const path of paths) {
    const file = await ParquetFile.fromFile(await openAsBlob(path))
    for (let group = 0; group < file.metadata().numRowGroups(); group++) {
      const table = tableFromIPC((await file.read({ rowGroups: [group] })).intoIPCStream())
      for (const row of table) {
        messages.push({ value: JSON.stringify(row.toJSON()) })
        if (messages.length === REQUEST_ROWS || sent + messages.length === most) await flush()
        if (sent === most) return sent
      }
    }
    file.free()
  }
  await flush()
  return sent
}
