/** What destinations that share one lane mean to each other. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openRows } from '../../src/columnar/reframe.ts'
import { MemoryBudget, type Share } from '../../src/core/budget.ts'
import { deliverUnit } from '../../src/core/deliver.ts'
import { createLanes, type Lanes } from '../../src/core/lanes.ts'
import type { UnitTools } from '../../src/core/unit-tools.ts'
import type { SinkSession } from '../../src/sinks/sink.ts'
import { countingAccess } from '../columnar/read-units.ts'
import { parquetFile } from '../columnar/staged-files.ts'
import { fakeUnit } from './fake-batch.ts'
import { ungated } from './fake-session.ts'

const ROWS = 200_000
const SPAN = 8_192
const file = new Uint8Array(
  await parquetFile(`SELECT i AS id, repeat('x', 100) AS pad FROM range(${ROWS}) r(i)`, 'ROW_GROUP_SIZE 40960'),
)

let lanes: Lanes
let memory: MemoryBudget

beforeEach(() => {
  lanes = createLanes(1)
  memory = new MemoryBudget(16 << 20)
})

afterEach(() => lanes.close())

/** Delivers the file, noting each span that is read. */
function deliver(name: string, write: SinkSession['write'], log: string[], ends: AbortSignal, share: Share) {
  const session: SinkSession = { limits: { inFlight: 100 }, write, close: async () => {} }
  const tools: UnitTools = {
    session,
    read(plan) {
      const reader = lanes.read(
        plan,
        async () => countingAccess(file),
        async function* () {},
      )
      return {
        ...reader,
        async next() {
          const span = await reader.next()
          if (span) log.push(name)
          return span
        },
      }
    },
    openRows,
    report: async () => ({ deadLettersRefused: 0 }),
    credit: share.credit,
    gate: ungated,
  }
  const chunks = [{ chunk: 0, file: { name: '0.parquet', bytes: file.length, rows: ROWS } }]
  return deliverUnit(fakeUnit({ id: name, chunks, spanRows: SPAN }), tools, ends)
}

test('take turns by the span, and those that hang keep nobody from theirs', async () => {
  const log: string[] = []
  const ends = new AbortController()
  const names = ['hangs', 'hangs too', 'a', 'b']
  const shares = names.map(() => memory.share())
  const never = (_: unknown, signal: AbortSignal) =>
    new Promise<void>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  const hanging = [0, 1].map(index =>
    deliver(names[index]!, never, log, ends.signal, shares[index]!).catch(() => 'ended'),
  )
  const others = [2, 3].map(index => deliver(names[index]!, async () => {}, log, ends.signal, shares[index]!))
  expect(await Promise.all(others)).toEqual(['done', 'done'])

  const spans = Math.ceil(ROWS / SPAN)
  expect(log.filter(name => name === 'a')).toHaveLength(spans)
  expect(log.filter(name => name === 'b')).toHaveLength(spans)
  // neither runs ahead of the other
  for (let at = 1; at <= log.length; at++) {
    const [a, b] = ['a', 'b'].map(name => log.slice(0, at).filter(each => each === name).length)
    expect(Math.abs(a! - b!)).toBeLessThanOrEqual(4)
  }
  // a share of 4 MiB has room for a few spans of 1 MiB, and no more were read
  for (const name of ['hangs', 'hangs too']) {
    const read = log.filter(each => each === name).length
    expect(read).toBeGreaterThan(1)
    expect(read).toBeLessThan(6)
  }
  ends.abort(new Error('over'))
  expect(await Promise.all(hanging)).toEqual(['ended', 'ended'])
  expect(memory.held).toBe(0)
})
