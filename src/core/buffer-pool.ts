/** Memory for the batches of one lane. Fresh memory for each would cost its page faults, and a collection for every few. */
import { isShared, newBuffer, newSharedBuffer } from '../columnar/memory.ts'
import type { BufferPool } from '../columnar/reader.ts'

/** What waits to be used again. What is out, with a destination, is not counted. */
export interface PoolLimits {
  readonly buffers: number
  readonly bytes: number
}

const LIMITS: PoolLimits = { buffers: 64, bytes: 16 << 20 }
/** More, since what is dropped is collected late; no more than was out before. */
const SHARED_LIMITS: PoolLimits = { buffers: 256, bytes: 64 << 20 }

/** Below, the allocator has the memory at hand itself. */
const LEAST_BYTES = 64 << 10

/** Most that a buffer may be longer than its batch. Batches are counted by their own length wherever memory is bounded. */
const MOST_WASTE = 2

/** Of shared memory that was dropped and not yet collected: nothing calls for a collection of it but other garbage. */
const MOST_DROPPED_BYTES = 16 << 20

/**
 * Hands out what came back if it fits well, and new memory else; drops what comes back above the limits. `shared`: gives shared memory
 * for what is large, as long as little of that is dropped, and lies about until the next collection.
 */
export class RecycledBuffers implements BufferPool {
  readonly #shared: boolean
  readonly #limits: PoolLimits
  readonly #waiting: ArrayBuffer[] = []
  #bytes = 0
  #droppedBytes = 0
  readonly #dropped = new FinalizationRegistry<number>(bytes => {
    this.#droppedBytes -= bytes
  })

  constructor({
    shared = false,
    limits = shared ? SHARED_LIMITS : LIMITS,
  }: { readonly shared?: boolean; readonly limits?: PoolLimits } = {}) {
    this.#shared = shared
    this.#limits = limits
  }

  /** Bytes that wait to be used again. */
  get bytes(): number {
    return this.#bytes
  }

  readonly take = (length: number): Uint8Array<ArrayBuffer> => {
    const index = this.#bestFit(length)
    if (index === undefined) return new Uint8Array(this.#create(roundUp(length)), 0, length)
    const [buffer] = this.#waiting.splice(index, 1)
    this.#bytes -= buffer!.byteLength
    return new Uint8Array(buffer!, 0, length)
  }

  give({ buffer }: Uint8Array<ArrayBuffer>): void {
    const { byteLength } = buffer
    if (byteLength < LEAST_BYTES) return
    const isFull = this.#waiting.length >= this.#limits.buffers || this.#bytes + byteLength > this.#limits.bytes
    if (isFull) this.#drop(buffer)
    else {
      this.#waiting.push(buffer)
      this.#bytes += byteLength
    }
  }

  #create(bytes: number): ArrayBuffer {
    const share = this.#shared && bytes >= LEAST_BYTES && this.#droppedBytes < MOST_DROPPED_BYTES
    return share ? newSharedBuffer(bytes) : newBuffer(bytes)
  }

  #drop(buffer: ArrayBuffer): void {
    if (!isShared(buffer)) return
    this.#droppedBytes += buffer.byteLength
    this.#dropped.register(buffer, buffer.byteLength)
  }

  /** The smallest that is long enough, and not too long. */
  #bestFit(length: number): number | undefined {
    let best: number | undefined
    let bestLength = length * MOST_WASTE
    this.#waiting.forEach(({ byteLength }, index) => {
      if (byteLength < length || byteLength > bestLength) return
      best = index
      bestLength = byteLength
    })
    return best
  }
}

/** Large ones in steps of at most an eighth of their length, so that one batch's memory is likely to fit the next. */
function roundUp(length: number): number {
  const step = length < LEAST_BYTES ? 1 : 2 ** (Math.floor(Math.log2(length)) - 3)
  return Math.ceil(length / step) * step
}
