/**
 * Calls into parquet-wasm that always come back.
 *
 * Its asynchronous calls do not, of themselves. On damaged input (any bad page does) and on a read that fails, the decoder
 * traps; not inside of the call but in a microtask, so that the promise of the call never settles and the trap is an
 * uncaught exception of the thread. What can be done about it from outside: only one file at a time gets to run in the
 * decoder ("a turn"), an uncaught trap during a turn is the failure of that file's call, and errors of reading never
 * enter the decoder. After a trap the decoder's memory is in no known state, and every call in this thread fails.
 */
import { MillraceError, messageOf } from '../../core/errors.ts'
import type { FileBytes } from '../file-bytes.ts'
import { corrupt } from '../file-errors.ts'
import { isTrap } from '../trap.ts'

/** One file's way into the decoder. Calls must not overlap. */
export class ParquetCalls {
  readonly #name: string
  readonly #file: FileBytes
  #reject: ((error: unknown) => void) | undefined

  constructor(name: string, file: FileBytes) {
    this.#name = name
    this.#file = file
  }

  /** The file as parquet-wasm reads it: the three members of `Blob` that it uses. */
  get blob(): Blob {
    const slice = (start: number, end: number) => ({ arrayBuffer: () => this.#read(start, end) })
    return { size: this.#file.size, slice } as unknown as Blob
  }

  /** Waits for the decoder. Rejects with `file_corrupt` for what it cannot decode, and with the file's own error where reading it failed. */
  wait<T>(start: () => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    this.#reject = reject
    takeTurn(this, () => start().then(resolve, error => reject(this.#undecodable(error))))
    return promise
  }

  /** Runs what calls the decoder without a promise. */
  now<T>(call: () => T): T {
    if (trap) throw lost()
    try {
      return call()
    } catch (error) {
      if (isTrap(error)) stop(error, this)
      throw this.#undecodable(error)
    }
  }

  /** Frees an object of the decoder; after a trap there is nothing to be freed. */
  free(call: () => unknown): void {
    if (!trap) this.now(call)
  }

  fail(error: unknown): void {
    this.#reject?.(error === trap ? this.#undecodable(error) : error)
  }

  #read(start: number, end: number): Promise<ArrayBuffer> {
    const { promise, resolve } = Promise.withResolvers<ArrayBuffer>()
    this.#file.read(start, end).then(
      bytes => takeTurn(this, () => resolve(wholeBuffer(bytes))),
      // the decoder waits for ever, and is collected with the promise
      error => this.fail(error),
    )
    return promise
  }

  #undecodable(error: unknown): unknown {
    const reason = messageOf(error)
    return corrupt(this.#name, `is no Parquet file that can be decoded (${reason})`, error)
  }
}

let turns: Promise<void> = Promise.resolve()
let trap: unknown

/** Lets `enter` call or resume the decoder, and lets it run until it waits for the next read. */
function takeTurn(calls: ParquetCalls, enter: () => unknown): void {
  turns = turns.then(async () => {
    if (trap) return calls.fail(lost())
    const onUncaught = (error: unknown): void => {
      if (isTrap(error)) stop(error, calls)
      // any other error is not ours: as if nobody had listened, unless somebody else does
      else if (process.listenerCount('uncaughtException') === 1) throw error
    }
    process.on('uncaughtException', onUncaught)
    try {
      enter()
      // behind all microtasks, which is where the decoder runs
      await new Promise(resolve => setImmediate(resolve))
    } catch (error) {
      calls.fail(error)
    } finally {
      process.off('uncaughtException', onUncaught)
    }
  })
}

/** The file that did it fails for good; what the others were reading has to be read again in another thread. */
function stop(error: unknown, culprit: ParquetCalls): void {
  trap = error
  culprit.fail(error)
}

function lost(): MillraceError {
  return new MillraceError('lane_lost', 'the Parquet decoder of this thread broke down over another file', {
    cause: trap,
  })
}

function wholeBuffer({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): ArrayBuffer {
  return byteLength === buffer.byteLength ? buffer : buffer.slice(byteOffset, byteOffset + byteLength)
}
