import { spawnSync } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import type { FileAccess, ReadPlan, UnitReader } from '../../src/columnar/read-plan.ts'
import { createLanes, type Lanes } from '../../src/core/lanes.ts'
import { flipBits, randomNumbers } from '../columnar/damaged-files.ts'
import { chunkOf, countingAccess, planOf, readUnit, rowsOf } from '../columnar/read-units.ts'
import { parquetFile } from '../columnar/staged-files.ts'

let dir: string
let file: Uint8Array
let lanes: Lanes | undefined

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-lanes-'))
  file = await parquetFile("SELECT i, 'row ' || i AS s FROM range(20000) r(i)", 'ROW_GROUP_SIZE 4096')
})

afterAll(() => rm(dir, { recursive: true, force: true }))

afterEach(async () => {
  await lanes?.close()
})

function read(plan: ReadPlan, access: FileAccess, values: readonly string[] = []): UnitReader {
  return lanes!.read(
    plan,
    async () => access,
    async function* () {
      yield values
    },
  )
}

const damaged = (bytes: Uint8Array, seed: number): Uint8Array => {
  const random = randomNumbers(seed)
  return flipBits(new Uint8Array(bytes), random, 4, bytes.length - 2_000, 400)
}

test.each([0, 1, 2])('with %i lanes a unit reads the same, from a path and from the bytes of the host', async count => {
  lanes = createLanes(count)
  const path = join(dir, 'file.parquet')
  await writeFile(path, file)
  const access = countingAccess(file)
  const expected = Array.from({ length: 20_000 }, (_, i) => ({ i, s: `row ${i}` }))
  for (const from of [{ path }, access]) {
    const unit = await readUnit(read(planOf([chunkOf(file)]), from))
    expect(rowsOf(unit.batches)).toEqual(expected)
    expect(unit.spans.reduce((sum, span) => sum + span.rows, 0)).toBe(20_000)
  }
  expect(access.reads.length).toBeGreaterThan(4)
})

test('a value set of the host filters in the lane', async () => {
  lanes = createLanes(1)
  const type = { kind: 'integer', bits: 64, signed: true } as const
  const plan = planOf([chunkOf(file)], {
    predicate: { filter: { column: 'i', type, values: { count: 3, ref: 'set' } } },
  })
  const unit = await readUnit(read(plan, countingAccess(file), ['17', '4000', '99999']))
  expect(rowsOf(unit.batches)).toEqual([
    { i: 17, s: 'row 17' },
    { i: 4_000, s: 'row 4000' },
  ])
})

test('a damaged file fails its own reader by name, those beside it go on or are told that their lane is lost, and the next read works', async () => {
  lanes = createLanes(1)
  const outcomes: string[] = []
  for (let seed = 0; seed < 8; seed++) {
    const bad = damaged(file, seed)
    const neighbour = read(planOf([chunkOf(file)]), countingAccess(file))
    expect((await neighbour.next())?.rows).toBe(1_000)
    const victim = read(planOf([chunkOf(bad, 'parquet', 0, 7)]), countingAccess(bad))
    await expect(readUnit(victim)).rejects.toMatchObject({
      code: 'file_corrupt',
      message: expect.stringContaining('file-7'),
    })
    outcomes.push(
      await readUnit(neighbour).then(
        () => 'went on',
        error => error.code,
      ),
    )
  }
  // a trap of the decoder costs the whole thread
  expect(outcomes.filter(outcome => outcome !== 'lane_lost' && outcome !== 'went on')).toEqual([])
  expect((await readUnit(read(planOf([chunkOf(file)]), countingAccess(file)))).batches.length).toBeGreaterThan(0)
})

test('nothing keeps a span that was read', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  lanes = createLanes(1)
  const reader = read(planOf([chunkOf(file)]), countingAccess(file))
  const spans: WeakRef<object>[] = []
  for (let count = 0; count < 15; count++) spans.push(new WeakRef((await reader.next())!))
  await new Promise(resolve => setImmediate(resolve))
  collect()
  expect(spans.filter(span => span.deref() !== undefined).length).toBeLessThan(3)
  await reader.close()
})

test('closing ends a read that hangs', async () => {
  lanes = createLanes(1)
  const asked = Promise.withResolvers<void>()
  const hanging = {
    byteLength: file.length,
    read: () => {
      asked.resolve()
      return new Promise<Uint8Array>(() => {})
    },
  }
  const reader = read(planOf([chunkOf(file)]), hanging)
  const next = reader.next()
  await asked.promise
  await Promise.all([expect(next).rejects.toMatchObject({ code: 'cancelled' }), reader.close()])
  await reader.close()
  expect((await readUnit(read(planOf([chunkOf(file)]), countingAccess(file)))).spans.length).toBeGreaterThan(0)
})

test('what the host cannot open fails with the error of the host', async () => {
  lanes = createLanes(1)
  const reader = lanes.read(
    planOf([chunkOf(file)]),
    async () => {
      throw new TypeError('no such bucket')
    },
    async function* () {},
  )
  await expect(readUnit(reader)).rejects.toThrow('no such bucket')
})

test('idle lanes do not keep a process alive', () => {
  const source = `
    import { createLanes } from ${JSON.stringify(fileURLToPath(new URL('../../src/core/lanes.ts', import.meta.url)))}
    const chunk: object = { chunk: 0, name: 'none', format: 'parquet', bytes: 10, fromRow: 0 }
    const plan = { chunks: [chunk], spanRows: 10, encoding: { kind: 'rows' }, batchRows: 1, batchBytes: 1, stableBatches: false, rowGroupBudgetBytes: 1, checksums: false }
    const reader = createLanes(1).read(plan, async () => ({ path: '/nowhere' }), async function* () {})
    await reader.next().catch(error => console.log(error.code))
    await reader.close()`
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', source], {
    encoding: 'utf8',
    timeout: 30_000,
  })
  expect([stdout.trim(), status]).toEqual(['file_missing', 0])
})

test.each([0, 1])('rows are framed anew and opened with %i lanes, and the batch stays as it is', async count => {
  lanes = createLanes(count)
  const [filled] = (await readUnit(read(planOf([chunkOf(file)], { batchRows: 5 }), countingAccess(file)))).batches
  // as a buffer of the pool, it is longer than its batch
  const bytes = new Uint8Array(new ArrayBuffer(1 << 20), 0, filled!.bytes.length)
  bytes.set(filled!.bytes)
  const framed = { encoding: { kind: 'ndjson' } as const, rows: 5, bytes, ends: filled!.ends }
  const before = Buffer.from(bytes)
  const parts = await lanes.reframe(framed, [[1], [0, 4]])
  expect(parts.map(part => Buffer.from(part.bytes).toString())).toEqual([
    '{"i":1,"s":"row 1"}\n',
    '{"i":0,"s":"row 0"}\n{"i":4,"s":"row 4"}\n',
  ])
  const rows = await lanes.openRows(framed, [3])
  expect(rows.map(({ key, payload }) => [key, Buffer.from(payload).toString()])).toEqual([
    [null, '{"i":3,"s":"row 3"}'],
  ])
  expect(before.equals(bytes)).toBe(true)
})

test('memory that is released is used again, and what is released twice or was handed on is left alone', async () => {
  lanes = createLanes(1)
  const plan = planOf([chunkOf(file)], { batchBytes: 70 << 10 })
  const reader = read(plan, countingAccess(file))
  let released = 0
  let recycled = 0
  for (let span = await reader.next(); span; span = await reader.next()) {
    for (const { bytes } of span.batches) {
      // the mark is far behind what the lane writes into the buffer, and so is still there if that is used again
      const whole = new Uint8Array(bytes.buffer)
      if (whole.at(-1) === 0xa5) recycled++
      if (whole.length > bytes.length) whole[whole.length - 1] = 0xa5
      reader.release(bytes)
      reader.release(bytes)
      released++
    }
  }
  expect(released).toBeGreaterThan(5)
  expect(recycled).toBeGreaterThan(0)
  await reader.close()
  reader.release(new Uint8Array(1 << 20))
})

test.each([0, 1])('tells which encoder is used with %i lanes, once', async count => {
  const messages: unknown[] = []
  const listen = (message: unknown): void => void messages.push(message)
  for (const name of ['lane', 'warning']) subscribe(`millrace:${name}`, listen)
  lanes = createLanes(count)
  for (let pass = 0; pass < 2; pass++) await readUnit(read(planOf([chunkOf(file)]), countingAccess(file)))
  for (const name of ['lane', 'warning']) unsubscribe(`millrace:${name}`, listen)
  expect(messages).toEqual([{ lane: 0, event: 'started', encoder: 'wasm' }])
})

test('says why the kernel is not used, and warns where it cannot be had', async () => {
  const messages: unknown[] = []
  const listen = (message: unknown): void => void messages.push(message)
  for (const name of ['lane', 'warning']) subscribe(`millrace:${name}`, listen)
  vi.stubEnv('MILLRACE_KERNEL', 'javascript')
  lanes = createLanes(1)
  await readUnit(read(planOf([chunkOf(file)]), countingAccess(file)))
  await lanes.close()
  const reason = 'MILLRACE_KERNEL asks for JavaScript'
  expect(messages.splice(0)).toEqual([{ lane: 0, event: 'started', encoder: 'javascript', reason }])

  // as where a bundler left out the file
  vi.unstubAllEnvs()
  lanes = createLanes(1, { program: new URL('./kernelless-lane-worker.ts', import.meta.url) })
  await readUnit(read(planOf([chunkOf(file)]), countingAccess(file)))
  expect(messages).toEqual([
    { lane: 0, event: 'started', encoder: 'javascript', reason: expect.stringContaining('kernel.wasm') },
    {
      message: 'the kernel could not be loaded, and encoding is slower without it',
      error: expect.stringContaining('kernel.wasm'),
    },
  ])
  for (const name of ['lane', 'warning']) unsubscribe(`millrace:${name}`, listen)
})

test('where the kernel is insisted on and cannot be had, reading says so', async () => {
  vi.stubEnv('MILLRACE_KERNEL', 'wasm')
  lanes = createLanes(1, { program: new URL('./kernelless-lane-worker.ts', import.meta.url) })
  const reading = readUnit(read(planOf([chunkOf(file)]), countingAccess(file)))
  await expect(reading).rejects.toMatchObject({ code: 'invalid_config', message: expect.stringContaining('kernel') })
  vi.unstubAllEnvs()
})
