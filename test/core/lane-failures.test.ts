import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { framePayloads } from '../../src/columnar/framing.ts'
import type { PlannedChunk, UnitReader } from '../../src/columnar/read-plan.ts'
import { createLanes, type Lanes } from '../../src/core/lanes.ts'
import { chunkOf, planOf, readUnit } from '../columnar/read-units.ts'
import { arrowFile, numberedBatch } from '../columnar/staged-files.ts'

const program = new URL('./failing-lane-worker.ts', import.meta.url)
const file = arrowFile('arrow-file', [numberedBatch(0, 1_000), numberedBatch(1_000, 1_000)])

let dir: string
let lanes: Lanes
let events: { readonly lane: number; readonly event: string; readonly error?: Error }[]
const listen = (message: unknown): void => void events.push(message as (typeof events)[number])

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-lane-'))
  lanes = createLanes(1, { program, resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 } })
  events = []
  subscribe('millrace:lane', listen)
})

afterEach(async () => {
  unsubscribe('millrace:lane', listen)
  await lanes.close()
  await rm(dir, { recursive: true, force: true })
})

/** A reader of one chunk for each name; `asked` resolves when it begins the last of them. */
async function read(...names: readonly string[]): Promise<UnitReader & { readonly asked: Promise<void> }> {
  for (const name of names) await writeFile(join(dir, name), file)
  const chunks: PlannedChunk[] = names.map((name, index) => ({ ...chunkOf(file, 'arrow-file', 0, index), name }))
  const asked = Promise.withResolvers<void>()
  const openFile = async (chunk: number) => {
    if (chunk === names.length - 1) asked.resolve()
    return { path: join(dir, names[chunk]!) }
  }
  return { ...lanes.read(planOf(chunks), openFile, async function* () {}), asked: asked.promise }
}

/** One that waits for its file for ever, and so is being served whatever happens in its lane. */
function waiting(name: string): UnitReader {
  const plan = planOf([{ ...chunkOf(file, 'arrow-file'), name }])
  return lanes.read(
    plan,
    () => new Promise(() => {}),
    async function* () {},
  )
}

const WAYS = [
  ['exits', 'internal', 'a lane stopped while it read the staged file "exits.arrow" (its thread ended with code 7)'],
  ['throws', 'internal', 'a lane stopped while it read the staged file "throws.arrow" (not in any promise)'],
  ['exhausts', 'over_budget', 'reading the staged file "exhausts.arrow" takes more memory than a lane has: stage'],
] as const

describe.each(WAYS)('a file over which the thread %s', (way, code, message) => {
  test('fails its own reader by name, at once; one that was not being served is told that its lane is lost', async () => {
    const neighbour = await read('good.arrow', 'other.arrow')
    expect((await neighbour.next())?.rows).toBe(1_000)
    const victim = await read('good.arrow', `${way}.arrow`)
    await expect(readUnit(victim)).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
    await expect(neighbour.next()).rejects.toMatchObject({ code: 'lane_lost' })
    await neighbour.close()
    expect((await readUnit(await read('good.arrow'))).spans).toHaveLength(2)
    expect(events.map(({ lane, event }) => `${lane} ${event}`)).toEqual(['0 started', '0 lost', '0 started'])
  })
})

test('a file that ends its lane is found out by reading it on its own, where others were being served as well', async () => {
  const innocent = waiting('innocent.arrow')
  const lost = expect(innocent.next()).rejects.toMatchObject({ code: 'lane_lost' })
  const victim = await read('throws.arrow')
  await expect(readUnit(victim)).rejects.toMatchObject({ code: 'lane_lost' })
  await lost
  await innocent.close()

  const again = waiting('innocent.arrow')
  const late = again.next().catch(error => error.code)
  await expect(readUnit(await read('throws.arrow'))).rejects.toMatchObject({ code: 'internal' })
  await again.close()
  expect(await late).toBe('cancelled')
  expect((await readUnit(await read('good.arrow'))).spans).toHaveLength(2)
})

test('rows of a batch are opened in another lane where one ends over a file', async () => {
  const [payload, ...others] = [Buffer.from('{"a":1}'), Buffer.from('{"a":2}')]
  const framed = {
    encoding: { kind: 'rows' } as const,
    rows: 2,
    ...framePayloads([payload!, ...others], { kind: 'rows' }),
  }
  const victim = await read('exits.arrow')
  const lost = expect(victim.next()).rejects.toMatchObject({ code: 'lane_lost' })
  await victim.asked
  await setImmediate() // the lane has its file now, and gets nothing else done
  const parts = await Promise.all([lanes.openRows(framed, [1]), lanes.reframe(framed, [[1]])])
  expect(parts.flat().map(part => Buffer.from('payload' in part ? part.payload : part.bytes).toString())).toEqual([
    '{"a":2}',
    '{"a":2}',
  ])
  await lost
  expect(events.map(({ event }) => event)).toEqual(['started', 'lost', 'started'])
})

test('a trap fails its file by name and costs the lane, whose other readers start again', async () => {
  const neighbour = await read('good.arrow')
  expect((await neighbour.next())?.rows).toBe(1_000)
  const victim = await read('traps.arrow')
  await expect(readUnit(victim)).rejects.toMatchObject({
    message: expect.stringContaining('"traps.arrow"'),
    code: 'file_missing',
  })
  await expect(neighbour.next()).rejects.toMatchObject({
    code: 'lane_lost',
    message: 'a lane stopped: the decoder broke down over another file',
  })
  await neighbour.close()
  expect((await readUnit(await read('good.arrow'))).spans).toHaveLength(2)
})

test('an exception fails its file by name, and the lane goes on', async () => {
  const neighbour = await read('good.arrow')
  expect((await neighbour.next())?.rows).toBe(1_000)
  await expect(readUnit(await read('rejects.arrow'))).rejects.toMatchObject({
    message: expect.stringContaining('"rejects.arrow"'),
  })
  expect((await readUnit(neighbour)).spans).toHaveLength(1)
  expect(events.map(({ event }) => event)).toEqual(['started'])
})

test('a lane that cannot start says why, and names no file', async () => {
  lanes = createLanes(1, { program: new URL('./no-such-program.ts', import.meta.url) })
  await expect(readUnit(await read('good.arrow'))).rejects.toMatchObject({
    code: 'lane_lost',
    message: expect.stringContaining('no-such-program.ts'),
  })
})
