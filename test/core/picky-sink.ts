/** Engines over a small table, and a sink that refuses rows by their id. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import type { StoredDeadLetter } from '../../src/core/dead-letters.ts'
import { createEngine, type Engine } from '../../src/core/engine.ts'
import { DeliveryError } from '../../src/core/errors.ts'
import type { Job } from '../../src/core/job.ts'
import type { EngineOptions } from '../../src/core/options.ts'
import { type MessageBatch, rowBytes, type Sink, type SinkContext, type SinkSession } from '../../src/sinks/sink.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import type { Store } from '../../src/stores/store.ts'
import { arrowSource } from './arrow-source.ts'
import { allNumbers, finish } from './number-jobs.ts'

/** Chunks of 3, 200 and 1 rows: ids 0 to 203. */
const FILES = [3, 200, 1]
export const ROWS = 204

let dir: string
const engines: Engine[] = []

/** What the engines of a test share. */
export let store: Store

/** To be called once by a test file. */
export function useEngines(): void {
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'millrace-redrive-'))
    store = memoryStore()
  })

  afterEach(async () => {
    await Promise.all(engines.splice(0).map(engine => engine.close()))
    await rm(dir, { recursive: true, force: true })
  })
}

export function engineOf(sinks: EngineOptions['sinks'], options: Partial<EngineOptions> = {}): Engine {
  const engine = createEngine({
    source: arrowSource({ dir, files: FILES }),
    sinks,
    store,
    lanes: 1,
    delivery: { maxDeadLetters: 1_000, checksums: true },
    ...options,
  })
  engines.push(engine)
  return engine
}

export async function finished(engine: Engine, ...sinks: readonly Sink[]): Promise<Job> {
  return finish(engine, await engine.create(allNumbers(...sinks)))
}

export async function lettersOf(engine: Engine, { job_id }: Job, to?: { type: string; name: string }) {
  const letters: StoredDeadLetter[] = []
  for await (const letter of engine.deadLetters(job_id, to)) letters.push(letter)
  return letters
}

export interface Picky {
  readonly sink: Sink
  readonly to: { readonly type: string; readonly name: string }
  /** Ids that are refused. */
  refuses: ReadonlySet<number>
  cause: string
  /** What was written since it was last emptied, refused rows included. */
  readonly batches: MessageBatch[]
  readonly contexts: SinkContext[]
}

/** Refuses rows by their id. */
export function picky(name: string, refuses: readonly number[], extras: Partial<SinkSession> = {}): Picky {
  const it: Picky = {
    to: { type: 'picky', name },
    refuses: new Set(refuses),
    cause: 'not today',
    batches: [],
    contexts: [],
    sink: {
      type: 'picky',
      name,
      async open(context) {
        it.contexts.push(context)
        return {
          limits: { batchRows: 50 },
          async write(batch) {
            // copies: the memory of a batch is used again
            it.batches.push({ ...batch, bytes: batch.bytes.slice(), ends: batch.ends.slice() })
            const failed = new Map<number, Error>()
            idsOf(batch).forEach((id, row) => {
              if (it.refuses.has(id)) failed.set(row, new Error(it.cause))
            })
            if (failed.size > 0) throw new DeliveryError('some were refused', { failed, rest: 'delivered' })
            return batch.spans.map(({ chunk, row }) => ({ first: `${chunk}.${row}`, last: batch.name }))
          },
          close: async () => {},
          ...extras,
        }
      },
    },
  }
  return it
}

type Write = SinkSession['write']

/** The same sink with a write of its own, which may go on to the sink's. */
export function withWrite(sink: Sink, write: (own: Write, ...args: Parameters<Write>) => ReturnType<Write>): Sink {
  return {
    ...sink,
    async open(context) {
      const session = await sink.open(context)
      return { ...session, write: (batch, signal) => write(session.write, batch, signal) }
    },
  }
}

export const decode = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

export function idsOf(batch: MessageBatch): number[] {
  return Array.from({ length: batch.rows }, (_, row) => (JSON.parse(decode(rowBytes(batch, row))) as { id: number }).id)
}
