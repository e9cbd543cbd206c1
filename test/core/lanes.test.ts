import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
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
