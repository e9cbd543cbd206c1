/** One lane, as the host has it: its worker thread, the readers in it, and what becomes of them when the thread ends. */
import { type ResourceLimits, type Transferable, Worker } from 'node:worker_threads'
import type { SharedSet } from '../columnar/byte-set.ts'
import type { EncoderPlan } from '../columnar/encoder.ts'
import { isShared } from '../columnar/memory.ts'
import type {
  FileAccess,
  FilledBatch,
  OpenFile,
  RandomAccess,
  ReadPlan,
  SpanRead,
  UnitReader,
} from '../columnar/read-plan.ts'
import type { FramedRows, OpenedRow } from '../columnar/reframe.ts'
import type { TransformRef } from '../columnar/row-shape.ts'
import type { TextRow } from '../columnar/text-row.ts'
import { isTrap } from '../columnar/trap.ts'
import type { ValueSets } from '../columnar/value-sets.ts'
import { publish } from './diagnostics.ts'
import { type EncoderInUse, publishStart } from './encoder-in-use.ts'
import { FormatError, isMillraceError, MillraceError, messageOf } from './errors.ts'
import { Moved, ThreadRpc } from './thread-rpc.ts'
import { Waits } from './waits.ts'

/** A value set by its `ref`, in pieces. */
export type OpenValueSet = (ref: string) => AsyncIterable<readonly string[]>

/** How a file's access crosses into a lane: bytes of the host's own kind stay in the host, behind a handle. */
export type RemoteAccess = Exclude<FileAccess, RandomAccess> | { readonly handle: number; readonly byteLength: number }

interface OpenReader {
  readonly plan: ReadPlan
  readonly openFile: OpenFile
  readonly valueSet: OpenValueSet
  readonly files: RandomAccess[]
  readonly values: Map<string, AsyncIterator<readonly string[]>>
  /** The staged file that it is at. */
  file: string
  /** Whether it was asked for a span, or a cut. */
  busy: boolean
  /** Set where it is what ended the lane. */
  failure: MillraceError | undefined
}

/** What a lane's thread runs, and with how much. */
export interface LaneThread {
  readonly program: URL
  readonly resourceLimits: ResourceLimits
}

/**
 * Of JavaScript's objects; batches, decoded columns and value sets lie elsewhere. Node ends a thread that reaches its limit as long as
 * not much more than that comes at once. A young generation as large as Node has it by default (192 MiB) does come at once, when it
 * is full and moves to the old one: then the whole process is aborted.
 */
const RESOURCE_LIMITS: ResourceLimits = { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 32 }

export interface LaneOptions {
  readonly number: number
  readonly thread: Partial<LaneThread>
  /** Those of all lanes. */
  readonly valueSets: ValueSets
  /** The lane's thread ended; these of its readers were being served, and it is not known which of them did it. */
  onLost(suspects: readonly ReadPlan[]): void
}

export class Lane {
  readonly #options: LaneOptions
  readonly #worker: Worker
  readonly #rpc: ThreadRpc
  readonly #open = new Map<number, OpenReader>()
  #readers = 0
  #held = 0
  #started = false
  dead = false

  constructor(options: LaneOptions) {
    const { number, valueSets } = options
    const { program = workerUrl(), resourceLimits = RESOURCE_LIMITS } = options.thread
    this.#options = options
    // flags of the host's own command line, such as --input-type, are not for this program
    this.#worker = new Worker(program, { name: `millrace lane ${number}`, execArgv: [], resourceLimits })
    this.#worker.unref()
    this.#rpc = new ThreadRpc(this.#worker, {
      started: (encoder?: EncoderInUse) => {
        this.#started = true
        if (encoder) publishStart(number, encoder)
      },
      access: (id: number, chunk: number) => this.#access(id, chunk),
      read: (id: number, handle: number, start: number, end: number) => this.#read(id, handle, start, end),
      values: (id: number, ref: string) => this.#values(id, ref),
      claimSet: (id: number, key: string) => valueSets.claim(key, this.#reader(id)),
      settleSet: (id: number, key: string, set?: SharedSet) => this.#settleSet(id, key, set),
    })
    this.#worker.on('error', error => this.#lose(error))
    this.#worker.on('exit', code => this.#lose(new Error(`its thread ended with code ${code}`)))
  }

  /** Readers and other work under way. */
  get load(): number {
    return this.#held
  }

  read(plan: ReadPlan, openFile: OpenFile, valueSet: OpenValueSet): UnitReader {
    const id = this.#readers++
    const reader: OpenReader = {
      ...{ plan, openFile, valueSet, files: [], values: new Map() },
      file: plan.chunks[0]?.name ?? 'none',
      busy: false,
      failure: undefined,
    }
    this.#open.set(id, reader)
    this.#hold()
    const opened = this.#rpc.call<void>('open', [id, plan])
    opened.catch(() => {})
    const calls = new Waits()
    let chunks = 0
    const call = async <T>(method: string): Promise<T> => {
      reader.busy = true
      try {
        return await calls.wait(opened.then(() => this.#rpc.call<T>(method, [id])))
      } catch (error) {
        if (isTrap(error)) this.#lose(error, reader)
        throw reader.failure ?? inFile(reader.file, error)
      } finally {
        reader.busy = false
      }
    }
    return {
      next: async () => {
        const span = await call<SpanRead | undefined>('next')
        // not the one that was opened last: files are opened ahead of their turn
        if (span?.last) reader.file = plan.chunks[++chunks]?.name ?? reader.file
        return span
      },
      cut: () => call<readonly FilledBatch[]>('cut'),
      release: bytes => this.#giveBack(bytes),
      close: async () => {
        calls.end(new MillraceError('cancelled', 'the reading was ended'))
        if (!this.#open.delete(id)) return
        this.#options.valueSets.leave(reader)
        if (!this.dead) await this.#rpc.call('close', [id]).catch(() => {})
        this.#letGo()
      },
    }
  }

  reframe(framed: FramedRows, groups: readonly (readonly number[])[]): Promise<FramedRows[]> {
    return this.#workOn('reframe', framed, groups)
  }

  openRows(framed: FramedRows, positions: readonly number[]): Promise<OpenedRow[]> {
    return this.#workOn('openRows', framed, positions)
  }

  frameRows(plan: EncoderPlan, rows: readonly TextRow[]): Promise<FilledBatch[]> {
    return this.#work('frameRows', [plan, rows])
  }

  loadTransform(ref: TransformRef): Promise<void> {
    return this.#work('loadTransform', [ref])
  }

  async end(error: unknown): Promise<void> {
    this.dead = true
    this.#rpc.fail(error)
    // or the process might end while this is waited for
    this.#worker.ref()
    await this.#worker.terminate()
  }

  /** A sink may have handed the bytes on to a thread of its own; then there is nothing to give back. */
  #giveBack(bytes: Uint8Array<ArrayBuffer>): void {
    const { buffer } = bytes
    if (!buffer.detached) this.#rpc.tell('give', [bytes], isShared(buffer) ? [] : [buffer])
  }

  #workOn<T>(method: string, framed: FramedRows, rows: readonly unknown[]): Promise<T> {
    // the batch stays with the sink; cloned as it is, it would take along the whole of its buffer
    const copy = { ...framed, bytes: framed.bytes.slice(), ends: framed.ends.slice() }
    return this.#work(method, [copy, rows], [copy.bytes.buffer, copy.ends.buffer])
  }

  async #work<T>(method: string, args: readonly unknown[], transfer: readonly Transferable[] = []): Promise<T> {
    this.#hold()
    try {
      return await this.#rpc.call<T>(method, args, transfer)
    } catch (error) {
      if (isTrap(error)) this.#lose(error)
      throw error
    } finally {
      this.#letGo()
    }
  }

  /** A lane at work keeps the process alive, an idle one does not. */
  #hold(): void {
    if (this.#held++ === 0) this.#worker.ref()
  }

  #letGo(): void {
    if (--this.#held === 0 && !this.dead) this.#worker.unref()
  }

  /**
   * The thread is of no use any more. `culprit`: whose file did it, where that is known and it has an error of its own already.
   * Else, if only one reader was being served, that one fails; of several nobody knows which, and all start again.
   */
  #lose(cause: unknown, culprit?: OpenReader): void {
    if (this.dead) return
    publish('lane', { lane: this.#options.number, event: 'lost', error: cause })
    const blameless = culprit !== undefined || isTrap(cause) || !this.#started
    const suspects = blameless ? [] : [...this.#open.values()].filter(reader => reader.busy)
    const alone = suspects.length === 1 && this.#held === this.#open.size
    if (alone) suspects[0]!.failure = stoppedOver(suspects[0]!.file, cause)
    // the file that did it may be another job's, and is not to be named in this one's error
    const reason = isTrap(cause) ? 'the decoder broke down over another file' : String(cause)
    for (const reader of this.#open.values()) this.#options.valueSets.leave(reader)
    void this.end(new MillraceError('lane_lost', `a lane stopped: ${reason}`, { cause }))
    this.#options.onLost(alone ? [] : suspects.map(({ plan }) => plan))
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

  #settleSet(id: number, key: string, set: SharedSet | undefined): void {
    const reader = this.#open.get(id)
    if (reader) this.#options.valueSets.settle(key, reader, set)
  }

  #reader(id: number): OpenReader {
    const reader = this.#open.get(id)
    if (!reader) throw new MillraceError('cancelled', 'the reading was ended')
    return reader
  }
}

/** What came back from the lane, for a reader of this file. What is one of millrace's names the file already. */
function inFile(file: string, error: unknown): unknown {
  if (isMillraceError(error)) return error
  const reason = messageOf(error)
  const advice = isTrap(error) ? ': report it; MILLRACE_KERNEL=javascript does without the part that broke down' : ''
  const message = `reading the staged file ${JSON.stringify(file)} failed (${reason})${advice}`
  return new MillraceError('internal', message, { cause: error })
}

/** The lane's thread ended over this file, and would end over it again. */
function stoppedOver(file: string, cause: unknown): MillraceError {
  const name = `the staged file ${JSON.stringify(file)}`
  if ((cause as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY') {
    const advice = 'stage smaller files or row groups, or columns with shorter values'
    return new FormatError('over_budget', `reading ${name} takes more memory than a lane has: ${advice}`, { cause })
  }
  const reason = messageOf(cause)
  return new MillraceError('internal', `a lane stopped while it read ${name} (${reason}): report it`, { cause })
}

/** The sources run as they are under Node's type stripping; `tsc` rewrites import paths but not this one. */
function workerUrl(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './lane-worker.ts' : './lane-worker.js', import.meta.url)
}
