/** The host's end of a store thread. */
import { Worker } from 'node:worker_threads'
import { isMillraceError, StoreError } from '../../core/errors.ts'
import { type Moved, ThreadRpc } from '../../core/thread-rpc.ts'
import type { StoreCalls } from './calls.ts'

type Answer<M extends keyof StoreCalls> =
  ReturnType<StoreCalls[M]> extends Moved<infer T> ? T : ReturnType<StoreCalls[M]>

interface Thread {
  readonly worker: Worker
  readonly rpc: ThreadRpc
  pending: number
}

/**
 * Calls are served one after the other, in the order in which they were made. The thread starts with the first, and again
 * with the next one after a crash. It keeps the process alive while a call is under way, and only then.
 */
export class Connection {
  readonly #path: string
  #thread: Thread | undefined
  #closed: Promise<void> | undefined

  constructor(path: string) {
    this.#path = path
  }

  async call<M extends keyof StoreCalls>(method: M, ...args: Parameters<StoreCalls[M]>): Promise<Answer<M>> {
    if (this.#closed) throw new StoreError(`job store ${this.#path}: the store is closed`, { retryable: false })
    this.#thread ??= this.#start()
    return ask(this.#thread, 'call', [method, args])
  }

  close(): Promise<void> {
    this.#closed ??= this.#end()
    return this.#closed
  }

  async #end(): Promise<void> {
    const thread = this.#thread
    if (!thread) return
    await ask(thread, 'close', [])
    await thread.worker.terminate()
  }

  #start(): Thread {
    const worker = new Worker(workerUrl(), {
      name: 'millrace store',
      workerData: { path: this.#path },
      // flags of the host's own command line, such as --input-type, are not for this program
      execArgv: [],
    })
    worker.unref()
    const thread = { worker, rpc: new ThreadRpc(worker, {}), pending: 0 }
    worker.on('error', error => this.#lost(thread, error))
    worker.on('exit', () => this.#lost(thread))
    return thread
  }

  #lost(thread: Thread, cause?: unknown): void {
    if (this.#thread === thread) this.#thread = undefined
    const reason = cause instanceof Error ? `: ${cause.message}` : ''
    const message = `job store ${this.#path}: its thread ended${reason}; whether the call had its effect is not known`
    thread.rpc.fail(new StoreError(message, { cause }))
  }
}

async function ask<T>(thread: Thread, method: string, args: readonly unknown[]): Promise<T> {
  thread.pending++
  thread.worker.ref()
  try {
    return await thread.rpc.call<T>(method, args)
  } catch (error) {
    throw revived(error)
  } finally {
    if (--thread.pending === 0) thread.worker.unref()
  }
}

/** An error keeps its code on the way between threads, but not its class. */
function revived(error: unknown): unknown {
  if (!isMillraceError(error) || (error.code !== 'store_failed' && error.code !== 'lease_lost')) return error
  const { message, code, retryable, cause, stack } = error
  return Object.assign(new StoreError(message, { code, retryable, cause }), { stack })
}

function workerUrl(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)
}
