import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test, vi } from 'vitest'
import { isShared } from '../../src/columnar/memory.ts'
import { RecycledBuffers } from '../../src/core/buffer-pool.ts'

const KIB = 1 << 10

test('gives as many bytes as are asked for, at the start of a buffer of their own', () => {
  const pool = new RecycledBuffers()
  for (const length of [0, 1, 100, 64 * KIB, 64 * KIB + 1, 1_000_003]) {
    const bytes = pool.take(length)
    expect([bytes.length, bytes.byteOffset]).toEqual([length, 0])
    expect(bytes.buffer.byteLength).toBeLessThanOrEqual(Math.max(length, (length * 9) / 8))
    expect(structuredClone(bytes, { transfer: [bytes.buffer] }).length).toBe(length)
  }
})

test('gives out again what came back, if it is long enough and not much too long', () => {
  const pool = new RecycledBuffers()
  const [small, large] = [pool.take(100 * KIB), pool.take(300 * KIB)]
  pool.give(large)
  pool.give(small)
  expect(pool.bytes).toBe(small.buffer.byteLength + large.buffer.byteLength)
  expect(pool.take(90 * KIB).buffer).toBe(small.buffer)
  // half of a buffer may be wasted
  expect(pool.take(140 * KIB).buffer).not.toBe(large.buffer)
  expect(pool.take(160 * KIB).buffer).toBe(large.buffer)
  expect(pool.bytes).toBe(0)
})

test('of those that are long enough gives the shortest', () => {
  const pool = new RecycledBuffers()
  const buffers = [200, 160, 180].map(size => pool.take(size * KIB))
  for (const bytes of buffers) pool.give(bytes)
  expect(pool.take(150 * KIB).buffer).toBe(buffers[1]!.buffer)
})

test('gives nothing out twice', () => {
  const pool = new RecycledBuffers()
  pool.give(pool.take(100 * KIB))
  expect(pool.take(100 * KIB).buffer).not.toBe(pool.take(100 * KIB).buffer)
})

test('keeps no more than it may, in bytes and in number, and nothing small', () => {
  const pool = new RecycledBuffers({ limits: { buffers: 2, bytes: 300 * KIB } })
  pool.give(pool.take(10 * KIB))
  expect(pool.bytes).toBe(0)
  for (const size of [100, 250, 80, 70]) pool.give(new Uint8Array(size * KIB))
  expect(pool.bytes).toBe(180 * KIB)
})

describe('a pool of shared memory', () => {
  test('gives that for what is large, and gives it out again', () => {
    const pool = new RecycledBuffers({ shared: true })
    const bytes = pool.take(100 * KIB)
    expect(isShared(bytes.buffer)).toBe(true)
    expect(isShared(pool.take(60 * KIB).buffer)).toBe(false)
    expect(isShared(new RecycledBuffers().take(100 * KIB).buffer)).toBe(false)
    pool.give(bytes)
    expect(pool.take(100 * KIB).buffer).toBe(bytes.buffer)
  })

  test('gives ordinary memory while much of what was dropped is not collected yet', async () => {
    setFlagsFromString('--expose-gc')
    const collect: () => void = runInNewContext('gc')
    const pool = new RecycledBuffers({ shared: true, limits: { buffers: 0, bytes: 0 } })
    for (let count = 0; count < 16; count++) pool.give(pool.take(1 << 20))
    expect(isShared(pool.take(1 << 20).buffer)).toBe(false)
    await vi.waitFor(() => {
      collect()
      expect(isShared(pool.take(1 << 20).buffer)).toBe(true)
    })
  })
})
