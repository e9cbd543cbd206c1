import { describe, expect, test, vi } from 'vitest'
import { compressBatch, decompressRecords, loadCompression } from '../../src/columnar/compress.ts'
import type { Compression } from '../../src/columnar/read-plan.ts'
import { HEADER_BYTES, RecordBatchWriter } from '../../src/columnar/record-batch.ts'
import { readWithKafkajs } from './kafka-records.ts'

const allocate = (length: number) => new Uint8Array(length)

function batchOf(...values: string[]): Uint8Array<ArrayBuffer> {
  const writer = new RecordBatchWriter({ headers: {} })
  for (const value of values)
    writer.append({ key: null, value: new Uint8Array(Buffer.from(value)), timestamp: 7n, id: null })
  return writer.finish().slice()
}

const values = Array.from({ length: 500 }, (_, row) => JSON.stringify({ row, text: 'of many that compress well' }))

test.each<[Compression, number]>([
  ['gzip', 1],
  ['snappy', 2],
  ['lz4', 3],
  ['zstd', 4],
])('%s compresses the records behind the header, which says so', async (compression, number) => {
  await loadCompression(compression)
  const batch = batchOf(...values)
  const compressed = compressBatch(batch, compression, allocate)
  expect(compressed.length).toBeLessThan(batch.length / 3)
  const header = Buffer.from(batch.subarray(0, HEADER_BYTES))
  header.writeInt32BE(compressed.length - 12, 8)
  header.writeInt16BE(number, 21)
  expect(Buffer.from(compressed.subarray(0, HEADER_BYTES))).toEqual(header)
  expect(Buffer.from(await decompressRecords(compressed))).toEqual(Buffer.from(batch.subarray(HEADER_BYTES)))
  expect((await readWithKafkajs(compressed)).records.map(({ value }) => value)).toEqual(values)
})

test.each<Compression>(['none', 'gzip', 'snappy', 'lz4', 'zstd'])(
  'a batch that %s would not make smaller is copied as it is',
  async compression => {
    await loadCompression(compression)
    const batch = batchOf('{}')
    const before = batch.slice()
    const copy = compressBatch(batch, compression, allocate)
    expect([copy, batch]).toEqual([before, before])
    expect(copy.buffer).not.toBe(batch.buffer)
    expect(await decompressRecords(copy)).toEqual(batch.subarray(HEADER_BYTES))
  },
)

test('bytes anywhere in their buffer are taken, and put where there is room', async () => {
  await loadCompression('lz4')
  const batch = batchOf(...values)
  const inside = new Uint8Array(batch.length + 10).subarray(5, 5 + batch.length)
  inside.set(batch)
  const roomy = (length: number) => new Uint8Array(new ArrayBuffer(length + 50), 0, length)
  const compressed = compressBatch(inside, 'lz4', roomy)
  expect(compressed).toEqual(compressBatch(batch, 'lz4', allocate))
})

describe('the Kafka client', () => {
  test('is not loaded for what Node compresses by itself', async () => {
    const { loadCompression } = await withoutClient()
    for (const compression of ['none', 'gzip', 'zstd'] as const) await loadCompression(compression)
  })

  test('is missed with the command that installs it', async () => {
    const { loadCompression } = await withoutClient()
    for (const compression of ['snappy', 'lz4'] as const)
      await expect(loadCompression(compression)).rejects.toMatchObject({
        code: 'missing_driver',
        message: '@platformatic/kafka is not installed: run "npm install @platformatic/kafka"',
      })
  })

  test('has to be loaded before its compressions are used', async () => {
    const { compressBatch } = await withoutClient()
    expect(() => compressBatch(batchOf('{}'), 'lz4', allocate)).toThrow('the compression lz4 was not loaded')
  })

  async function withoutClient() {
    vi.resetModules()
    const missing = Object.assign(new Error("Cannot find package '@platformatic/kafka'"), {
      code: 'ERR_MODULE_NOT_FOUND',
    })
    vi.doMock('../../src/core/driver.ts', async importOriginal => {
      const { loadDriver } = await importOriginal<typeof import('../../src/core/driver.ts')>()
      return { loadDriver: (name: string) => loadDriver(name, () => Promise.reject(missing)) }
    })
    return import('../../src/columnar/compress.ts')
  }
})
