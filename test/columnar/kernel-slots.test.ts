import { makeData, Utf8 } from 'apache-arrow'
import { expect, test } from 'vitest'
import type { RowPlan } from '../../src/columnar/encoder.ts'
import { chooseKernel } from '../../src/columnar/kernel.ts'
import type {} from '../../src/columnar/read-plan.ts'
import { batchOf, nameOf, openKernelEncoder, spanOf, UNLIMITED } from './encoders.ts'

const ROW_BYTES = 10_000_000

test.each<RowPlan['encoding']>([
  { kind: 'ndjson' },
  { kind: 'kafka-batch', partitions: 2, key: nameOf(1), timestamp: 'now', headers: {}, compression: 'none' },
])('the memory that a huge row took is free for others, once its batch is cut: $kind', encoding => {
  const kernel = chooseKernel('wasm').kernel!
  const plan = { ...UNLIMITED, encoding, batchBytes: 1_000_000 }
  const encoders = Array.from({ length: 5 }, () => openKernelEncoder(plan, kernel))
  const [huge, small] = [ROW_BYTES, 10].map(length => spanOf(batchOf(1, [text(length), text(1)])))
  const sizes = encoders.map(encoder => {
    encoder.add(huge!)
    encoder.cut()
    encoder.add(small!)
    encoder.cut()
    expect(encoder.takeFilled().map(({ bytes }) => bytes.length > ROW_BYTES)).toEqual([true, false])
    return kernel.memory.buffer.byteLength
  })
  expect(sizes.at(-1)!).toBeLessThan(1.5 * sizes[1]!)
  for (const encoder of encoders) encoder.close()
})

function text(length: number) {
  const valueOffsets = Int32Array.of(0, length)
  return makeData({ type: new Utf8(), length: 1, nullCount: 0, valueOffsets, data: new Uint8Array(length).fill(0x61) })
}
