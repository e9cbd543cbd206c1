/**
 * Lanes: worker threads that read, decode, filter and encode, so that the host's event loop only moves finished buffers.
 * A damaged file can leave the decoder (WebAssembly) unusable for its whole thread; that ends only the thread.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { FileAccess, OpenFile, RandomAccess, ReadPlan, SpanRead, UnitReader } from '../columnar/read-plan.ts'
import { isTrap } from '../columnar/trap.ts'
import { publish } from './diagnostics.ts'
import { MillraceError } from './errors.ts'
import { Moved, ThreadRpc } from './thread-rpc.ts'
import { Waits } from './waits.ts'

/** A value set by its `ref`, in pieces. */
export type OpenValueSet = (ref: string) => AsyncIterable<readonly string[]>

export interface Lanes {
  /** Starts reading in the lane that has the fewest readers. */
  read(plan: ReadPlan, openFile: OpenFile, valueSet: OpenValueSet): UnitReader
  close(): Promise<void>
}

/** How a file's access crosses into a lane: bytes of the host's own kind stay in the host, behind a handle. */
export type RemoteAccess = Exclude<FileAccess, RandomAccess> | { readonly handle: number; readonly byteLength: number }

/** Default: one less than there are processors, at least 1. 0: everything in the calling thread. */
export function createLanes(count: number = Math.max(1, availableParallelism() - 1)): Lanes {
  return count === 0 ? hostLane() : new WorkerLanes(count)
}

/** For debugging: the same readers in the host's thread. Loaded lazily, so that hosts with worker lanes never load the decoder. */
function hostLane(): Lanes {
  return {
    read(plan, openFile, valueSet) {
      const opened = openInHost(plan, openFile, valueSet)
      opened.catch(() => {})
      return {
        next: async () => (await opened).next(),
        cut: async () => (await opened).cut(),
        release() {},
        close: async () => (await opened).close(),
      }
    },
    async close() {},
  }
}

async function openInHost(plan: ReadPlan, openFile: OpenFile, valueSet: OpenValueSet): Promise<UnitReader> {
  const [{ openUnitReader }, { ValueSets }] = await Promise.all([
    import('../columnar/reader.ts'),
    import('../columnar/value-sets.ts'),
  ])
  const valueSets = new ValueSets()
  return openUnitReader(plan, openFile, ref => valueSets.get(ref, () => valueSet(ref)))
}

class WorkerLanes implements Lanes {
  readonly #lanes: (Lane | undefined)[]

  constructor(count: number) {
    this.#lanes = Array.from({ length: count }, () => undefined)
  }

  read(plan: ReadPlan, openFile: OpenFile, valueSet: OpenValueSet): UnitReader {
    const loads = this.#lanes.map(lane => lane?.readers ?? 0)
    const index = loads.indexOf(Math.min(...loads))
    let lane = this.#lanes[index]
    if (lane === undefined || lane.dead) {
      lane = new Lane(index)
      this.#lanes[index] = lane
    }
    return lane.read(plan, openFile, valueSet)
  }

  async close(): Promise<void> {
    await Promise.all(this.#lanes.map(lane => lane?.end(new MillraceError('cancelled', 'the engine was closed'))))
  }
}

interface OpenReader {
  readonly openFile: OpenFile
  readonly valueSet: OpenValueSet
  readonly files: RandomAccess[]
  readonly values: Map<string, AsyncIterator<readonly string[]>>
}

class Lane {
  readonly #worker: Worker
  readonly #rpc: ThreadRpc
  readonly #open = new Map<number, OpenReader>()
  readonly #number: number
  #readers = 0
  dead = false

  constructor(number: number) {
    this.#number = number
    // flags of the host's own command line, such as --input-type, are not for this program
    this.#worker = new Worker(workerUrl(), { name: `millrace lane ${number}`, execArgv: [] })
    this.#worker.unref()
    this.#rpc = new ThreadRpc(this.#worker, {
      access: (id: number, chunk: number) => this.#access(id, chunk),
      read: (id: number, handle: number, start: number, end: number) => this.#read(id, handle, start, end),
      values: (id: number, ref: string) => this.#values(id, ref),
    })
    this.#worker.on('error', error => this.#replace(error))
    this.#worker.on('exit', () => this.#replace(new Error('the thread ended')))
  }

  get readers(): number {
    return this.#open.size
  }

  read(plan: ReadPlan, openFile: OpenFile, valueSet: OpenValueSet): UnitReader {
    const id = this.#readers++
    if (this.#open.size === 0) this.#worker.ref()
    this.#open.set(id, { openFile, valueSet, files: [], values: new Map() })
    const opened = this.#rpc.call<void>('open', [id, plan])
    opened.catch(() => {})
    const calls = new Waits()
    const call = <T>(method: string): Promise<T> => calls.wait(opened.then(() => this.#rpc.call<T>(method, [id])))
    return {
      next: () =>
        call<SpanRead | undefined>('next').catch(error => {
          if (isTrap(error)) this.#replace(error)
          throw error
        }),
      cut: () => call('cut'),
      release() {},
      close: async () => {
        calls.end(new MillraceError('cancelled', 'the reading was ended'))
        if (!this.#open.delete(id)) return
        if (!this.dead) await this.#rpc.call('close', [id]).catch(() => {})
        if (this.#open.size === 0 && !this.dead) this.#worker.unref()
      },
    }
  }

  async end(error: unknown): Promise<void> {
    this.dead = true
    this.#rpc.fail(error)
    // or the process might end while this is waited for
    this.#worker.ref()
    await this.#worker.terminate()
  }

  /** The reader whose file did it has its own error already; the others lost their place and start again from their checkpoints. */
  #replace(error: unknown): void {
    if (this.dead) return
    publish('lane', { lane: this.#number, error })
    // the file that made the decoder trap may be another job's, and is not to be named in this one's error
    const reason = isTrap(error) ? 'the decoder broke down over another file' : String(error)
    void this.end(new MillraceError('lane_lost', `a lane stopped: ${reason}`, { cause: error }))
  }

  async #access(id: number, chunk: number): Promise<RemoteAccess> {
    const reader = this.#reader(id)
    const access = await reader.openFile(chunk)
    if (!('read' in access)) return access
    return { handle: reader.files.push(access) - 1, byteLength: access.byteLength }
  }

  async #read(id: number, handle: number, start: number, end: number): Promise<Uint8Array | Moved<Uint8Array>> {
    const bytes = await this.#reader(id).files[handle]!.read(start, end)
    const whole = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer
    return whole ? new Moved(bytes, [bytes.buffer as ArrayBuffer]) : bytes
  }

  async #values(id: number, ref: string): Promise<readonly string[] | undefined> {
    const reader = this.#reader(id)
    let iterator = reader.values.get(ref)
    if (iterator === undefined) {
      iterator = reader.valueSet(ref)[Symbol.asyncIterator]()
      reader.values.set(ref, iterator)
    }
    const { done, value } = await iterator.next()
    return done ? undefined : value
  }

  #reader(id: number): OpenReader {
    const reader = this.#open.get(id)
    if (!reader) throw new MillraceError('cancelled', 'the reading was ended')
    return reader
  }
}

/** The sources run as they are under Node's type stripping; `tsc` rewrites import paths but not this one. */
function workerUrl(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './lane-worker.ts' : './lane-worker.js', import.meta.url)
}
