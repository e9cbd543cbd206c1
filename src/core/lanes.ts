/**
 * Lanes: worker threads that read, decode, filter and encode, so that the host's event loop only moves finished buffers.
 * A damaged file can leave the decoder (WebAssembly) unusable for its whole thread; that ends only the thread.
 */
import type { EncoderPlan } from '../columnar/encoder.ts'
import type { FilledBatch, OpenFile, PlannedChunk, ReadPlan, UnitReader } from '../columnar/read-plan.ts'
import type { FramedRows, OpenedRow } from '../columnar/reframe.ts'
import type { TransformRef } from '../columnar/row-shape.ts'
import type { TextRow } from '../columnar/text-row.ts'
import { loadSet, ValueSets } from '../columnar/value-sets.ts'
import { isMillraceError, MillraceError } from './errors.ts'
import { Lane, type LaneThread, type OpenValueSet } from './lane.ts'

export interface Lanes {
  /** Starts reading in the lane that has the least to do. */
  read(plan: ReadPlan, openFile: OpenFile, valueSet: OpenValueSet): UnitReader
  /** `reframe` of `columnar/reframe.ts`, in a lane. What is given stays as it is. */
  reframe(framed: FramedRows, groups: readonly (readonly number[])[]): Promise<readonly FramedRows[]>
  /** `openRows` of `columnar/reframe.ts`, in a lane. What is given stays as it is. */
  openRows(framed: FramedRows, positions: readonly number[]): Promise<readonly OpenedRow[]>
  /** `frameRows` of `columnar/frame-rows.ts`, in a lane. */
  frameRows(plan: EncoderPlan, rows: readonly TextRow[]): Promise<readonly FilledBatch[]>
  /** Throws `destination_misconfigured` where a lane cannot import it. */
  loadTransform(ref: TransformRef): Promise<void>
  close(): Promise<void>
}

/** 0: everything in the calling thread. `thread` is for tests. */
export function createLanes(count: number, thread: Partial<LaneThread> = {}): Lanes {
  return count === 0 ? hostLane() : new WorkerLanes(count, thread)
}

/** For debugging: the same in the host's thread. Loaded lazily, so that hosts with worker lanes never load the decoder. */
function hostLane(): Lanes {
  let started: Promise<void> | undefined
  return {
    read(plan, openFile, valueSet) {
      started ??= startInHost()
      const opened = started.then(() => openInHost(plan, openFile, valueSet))
      opened.catch(() => {})
      return {
        next: async () => (await opened).next(),
        cut: async () => (await opened).cut(),
        release: bytes => void opened.then(reader => reader.release(bytes)),
        close: async () => (await opened).close(),
      }
    },
    reframe: async (framed, groups) => (await import('../columnar/reframe.ts')).reframe(framed, groups),
    openRows: async (framed, positions) => (await import('../columnar/reframe.ts')).openRows(framed, positions),
    frameRows: async (plan, rows) => (await import('../columnar/frame-rows.ts')).frameRows(plan, rows),
    loadTransform: async ref => (await import('../columnar/transform.ts')).loadTransform(ref),
    async close() {},
  }
}

async function startInHost(): Promise<void> {
  const { encoderInUse, publishStart } = await import('./encoder-in-use.ts')
  publishStart(0, encoderInUse())
}

async function openInHost(plan: ReadPlan, openFile: OpenFile, valueSet: OpenValueSet): Promise<UnitReader> {
  const { openUnitReader } = await import('../columnar/reader.ts')
  return openUnitReader(plan, openFile, set => loadSet(set, valueSet(set.ref)))
}

/** Of work on a batch, each in another lane. */
const MOST_ATTEMPTS = 3

class WorkerLanes implements Lanes {
  readonly #lanes: (Lane | undefined)[]
  readonly #thread: Partial<LaneThread>
  /** Files over one of which a lane ended, while it was busy with several. */
  readonly #suspects = new Set<string>()
  /** Lanes for one reader each, by which it shows whether that one's file was to blame. */
  readonly #single = new Set<Lane>()
  readonly #valueSets = new ValueSets()

  constructor(count: number, thread: Partial<LaneThread>) {
    this.#lanes = Array.from({ length: count }, () => undefined)
    this.#thread = thread
  }

  read(plan: ReadPlan, openFile: OpenFile, valueSet: OpenValueSet): UnitReader {
    const suspects = plan.chunks.map(fileKey).filter(key => this.#suspects.delete(key))
    if (suspects.length === 0) return this.#leastLoaded().read(plan, openFile, valueSet)
    const lane = this.#start(this.#lanes.length)
    this.#single.add(lane)
    const reader = lane.read(plan, openFile, valueSet)
    return {
      ...reader,
      close: async () => {
        await reader.close()
        await lane.end(new MillraceError('cancelled', 'the reading was ended'))
        this.#single.delete(lane)
      },
    }
  }

  reframe(framed: FramedRows, groups: readonly (readonly number[])[]): Promise<readonly FramedRows[]> {
    return this.#work(lane => lane.reframe(framed, groups))
  }

  openRows(framed: FramedRows, positions: readonly number[]): Promise<readonly OpenedRow[]> {
    return this.#work(lane => lane.openRows(framed, positions))
  }

  frameRows(plan: EncoderPlan, rows: readonly TextRow[]): Promise<readonly FilledBatch[]> {
    return this.#work(lane => lane.frameRows(plan, rows))
  }

  loadTransform(ref: TransformRef): Promise<void> {
    return this.#work(lane => lane.loadTransform(ref))
  }

  async close(): Promise<void> {
    const closed = new MillraceError('cancelled', 'the engine was closed')
    await Promise.all([...this.#lanes, ...this.#single].map(lane => lane?.end(closed)))
  }

  /** Of a lane that is lost other work may be to blame: a sink that waits for this would fail over another job's file. */
  async #work<T>(work: (lane: Lane) => Promise<T>): Promise<T> {
    for (let attempts = 1; ; attempts++) {
      try {
        return await work(this.#leastLoaded())
      } catch (error) {
        const laneLost = isMillraceError(error) && error.code === 'lane_lost'
        if (!laneLost || attempts === MOST_ATTEMPTS) throw error
      }
    }
  }

  #leastLoaded(): Lane {
    const loads = this.#lanes.map(lane => (lane === undefined || lane.dead ? 0 : lane.load))
    const index = loads.indexOf(Math.min(...loads))
    const lane = this.#lanes[index]
    if (lane !== undefined && !lane.dead) return lane
    const started = this.#start(index)
    this.#lanes[index] = started
    return started
  }

  #start(number: number): Lane {
    const onLost = (plans: readonly ReadPlan[]): void => {
      for (const { chunks } of plans) for (const chunk of chunks) this.#suspects.add(fileKey(chunk))
    }
    return new Lane({ number, thread: this.#thread, valueSets: this.#valueSets, onLost })
  }
}

function fileKey({ name, bytes }: PlannedChunk): string {
  return `${bytes} ${name}`
}
