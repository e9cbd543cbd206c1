/** Batches go out of a lane's pool to a real server that is slow, and back; whatever it does, what arrives are the rows of their batch. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openRows } from '../../src/columnar/reframe.ts'
import { MemoryBudget } from '../../src/core/budget.ts'
import { deliverUnit } from '../../src/core/deliver.ts'
import { DeliveryError } from '../../src/core/errors.ts'
import { createLanes, type Lanes } from '../../src/core/lanes.ts'
import type { UnitTools } from '../../src/core/unit-tools.ts'
import { rowBytes, type SinkSession } from '../../src/sinks/sink.ts'
import { countingAccess } from '../columnar/read-units.ts'
import { parquetFile } from '../columnar/staged-files.ts'
import { fakeUnit } from './fake-batch.ts'
import { ungated } from './fake-session.ts'

const ROWS = 20_000
const PAD = 2_000
const file = new Uint8Array(
  await parquetFile(`SELECT i AS id, repeat(chr((97 + i % 26)::INT), ${PAD}) AS pad FROM range(${ROWS}) r(i)`),
)

function lineOf(id: number): string {
  return `{"id":${id},"pad":"${String.fromCharCode(97 + (id % 26)).repeat(PAD)}"}\n`
}

/** What the server does with a body: reads it all and then answers; or answers, or does not, and reads most of it when all is over. */
type Manner = 'takes it' | 'refuses it early' | 'never answers'

interface Header {
  readonly first: number
  readonly rows: number
  readonly bytes: number
}

/** One body a connection: a line that says what comes, and then as many bytes. */
class SlowServer {
  readonly received = new Set<number>()
  readonly faults: string[] = []
  /** Bytes of bodies that were refused or not answered at all. */
  unwanted = 0
  bodies = 0
  readonly #server: Server
  readonly #manner: (body: number) => Manner
  readonly #over = Promise.withResolvers<void>()
  readonly #serving = new Set<Promise<void>>()

  constructor(manner: (body: number) => Manner) {
    this.#manner = manner
    this.#server = createServer({ allowHalfOpen: true }, socket => {
      const serving = this.#serve(socket).finally(() => this.#serving.delete(serving))
      this.#serving.add(serving)
    })
  }

  async listen(): Promise<number> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  /** Takes what is still on its way, bodies that it did not want as well. */
  async settle(): Promise<void> {
    this.#over.resolve()
    while (this.#serving.size > 0) await Promise.all(this.#serving)
  }

  async close(): Promise<void> {
    await new Promise(resolve => this.#server.close(resolve))
  }

  async #serve(socket: Socket): Promise<void> {
    const manner = this.#manner(this.bodies++)
    socket.on('error', () => {})
    if (manner === 'refuses it early') socket.write('503\n')
    const parts: Buffer[] = []
    let header: Header | undefined
    let left = Number.POSITIVE_INFINITY
    try {
      for await (const part of socket.iterator({ destroyOnReturn: false })) {
        const headerEnd = header ? 0 : part.indexOf('\n') + 1
        header ??= JSON.parse(part.subarray(0, headerEnd).toString()) as Header
        left = Math.min(left, header.bytes) - (part.length - headerEnd)
        parts.push(part.subarray(headerEnd))
        if (left === 0) break
        // meanwhile most of it waits in the memory of the sender
        if (manner !== 'takes it') await this.#over.promise
      }
    } catch {
      // the sender disconnected: what came until then has to be right as well
    }
    if (header) this.#check(header, Buffer.concat(parts), manner)
    if (manner === 'takes it' && !socket.destroyed) socket.write('200\n')
    socket.end()
  }

  #check({ first, rows, bytes }: Header, body: Buffer, manner: Manner): void {
    const lines = body.toString().split('\n').slice(0, -1)
    lines.forEach((line, index) => {
      if (`${line}\n` !== lineOf(first + index)) this.faults.push(`row ${first + index} arrived as another (${manner})`)
    })
    if (manner !== 'takes it') this.unwanted += body.length
    else if (body.length === bytes) for (let row = 0; row < rows; row++) this.received.add(first + row)
  }
}

let lanes: Lanes
let server: SlowServer

beforeEach(() => {
  lanes = createLanes(1)
})

afterEach(async () => {
  await lanes.close()
  await server.close()
})

/** A client without any care: it gives up waiting after a while, or when told to, and lets its socket send on. */
function carelessSession(
  port: number,
  timeoutMs: number,
  onAbort: 'sends on' | 'disconnects',
  sharedMemory: boolean,
): SinkSession {
  return {
    encoding: { kind: 'ndjson' },
    asks: { sharedMemory },
    limits: { inFlight: 3, batchBytes: 6 << 20 },
    write: (batch, signal) =>
      new Promise((resolve, reject) => {
        const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
        const fail = (error: unknown): void => {
          clearTimeout(late)
          reject(error)
        }
        const late = setTimeout(() => fail(new DeliveryError('too late', { retryable: true })), timeoutMs)
        const first: number = JSON.parse(Buffer.from(rowBytes(batch, 0)).toString()).id
        const header: Header = { first, rows: batch.rows, bytes: batch.bytes.length }
        socket.write(`${JSON.stringify(header)}\n`)
        socket.end(batch.bytes)
        socket.on('error', () => {})
        socket.once('data', answer => {
          if (answer.toString() !== '200\n') return fail(new DeliveryError('refused', { retryable: true }))
          clearTimeout(late)
          resolve()
        })
        signal.addEventListener('abort', () => {
          if (onAbort === 'disconnects') socket.destroy()
          fail(signal.reason)
        })
      }),
    close: async () => {},
  }
}

function deliver(session: SinkSession, signal = new AbortController().signal): Promise<unknown> {
  const unit = fakeUnit({
    chunks: [{ chunk: 0, file: { name: '0.parquet', bytes: file.length, rows: ROWS } }],
    spanRows: 1_024,
    limits: { deliveryDeadlineMs: 20_000 },
  })
  const tools: UnitTools = {
    session,
    read: plan =>
      lanes.read(
        plan,
        async () => countingAccess(file),
        async function* () {},
      ),
    openRows,
    report: async () => ({ deadLettersRefused: 0 }),
    credit: new MemoryBudget(1 << 30).share().credit,
    gate: ungated,
  }
  return deliverUnit(unit, tools, signal)
}

const all = Array.from({ length: ROWS }, (_, id) => id)

describe.each([false, true])('shared memory: %s', sharedMemory => {
  test.each<readonly [string, (body: number) => Manner]>([
    ['takes every batch', () => 'takes it'],
    ['answers every other write before it has read it', body => (body % 2 === 0 ? 'refuses it early' : 'takes it')],
    ['never answers every other write', body => (body % 2 === 0 ? 'never answers' : 'takes it')],
  ])('no byte of another batch arrives at a server that %s', async (_, manner) => {
    server = new SlowServer(manner)
    const session = carelessSession(await server.listen(), 500, 'sends on', sharedMemory)
    expect(await deliver(session)).toBe('done')
    await server.settle()
    expect(server.faults).toEqual([])
    expect([...server.received].toSorted((a, b) => a - b)).toEqual(all)
    if (manner(0) !== 'takes it') expect(server.unwanted).toBeGreaterThan(20 << 20)
  })

  test.each(['sends on', 'disconnects'] as const)(
    'nor where the delivery is aborted, goes on in the same lanes, and the client %s',
    async onAbort => {
      let answers = false
      server = new SlowServer(() => (answers ? 'takes it' : 'never answers'))
      const port = await server.listen()
      const aborts = new AbortController()
      const aborted = deliver(carelessSession(port, 60_000, onAbort, sharedMemory), aborts.signal)
      const watched = expect(aborted).rejects.toThrow('enough')
      while (server.bodies < 3) await new Promise(resolve => setTimeout(resolve, 5))
      answers = true
      aborts.abort(new Error('enough'))
      await watched
      expect(await deliver(carelessSession(port, 60_000, onAbort, sharedMemory))).toBe('done')
      await server.settle()
      expect(server.faults).toEqual([])
      expect(server.received.size).toBe(ROWS)
    },
  )
})
