/** Calls across a worker thread's port, both ways: method and arguments over, an answer or an error back. */
import type { MessagePort, Transferable, Worker } from 'node:worker_threads'
import { ERRORS, type ErrorCode, isMillraceError, MillraceError } from './errors.ts'

/** An answer whose buffers move instead of being copied. */
export class Moved<T> {
  readonly value: T
  readonly transfer: readonly Transferable[]
  constructor(value: T, transfer: readonly Transferable[]) {
    this.value = value
    this.transfer = transfer
  }
}

/** The callers on both sides name the types of the arguments; the wire has none. */
export type Handlers = Readonly<Record<string, (...args: never[]) => unknown>>

type Message =
  | { readonly call: number; readonly method: string; readonly args: readonly unknown[] }
  | { readonly tell: string; readonly args: readonly unknown[] }
  | { readonly answer: number; readonly value?: unknown; readonly error?: PlainError }

interface PlainError {
  readonly name?: string
  readonly code?: string
  readonly message: string
  readonly retryable?: boolean
  readonly stack?: string
  readonly cause?: PlainError
}

export class ThreadRpc {
  readonly #port: Worker | MessagePort
  readonly #handlers: Handlers
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>()
  #calls = 0
  #dead: { readonly error: unknown } | undefined

  constructor(port: Worker | MessagePort, handlers: Handlers) {
    this.#port = port
    this.#handlers = handlers
    port.on('message', (message: Message) => {
      if ('answer' in message) this.#settle(message)
      else if ('call' in message) void this.#serve(message)
      else this.#handlers[message.tell]!(...(message.args as never[]))
    })
  }

  call<T>(method: string, args: readonly unknown[], transfer: readonly Transferable[] = []): Promise<T> {
    if (this.#dead) return Promise.reject(this.#dead.error)
    const id = this.#calls++
    const pending = Promise.withResolvers<unknown>()
    this.#pending.set(id, pending)
    this.#port.postMessage({ call: id, method, args } satisfies Message, transfer)
    return pending.promise as Promise<T>
  }

  /** A call that has no answer. */
  tell(method: string, args: readonly unknown[], transfer: readonly Transferable[] = []): void {
    if (!this.#dead) this.#port.postMessage({ tell: method, args } satisfies Message, transfer)
  }

  /** Fails what is pending and every later call. */
  fail(error: unknown): void {
    this.#dead ??= { error }
    for (const pending of this.#pending.values()) pending.reject(error)
    this.#pending.clear()
  }

  async #serve({ call, method, args }: Extract<Message, { call: number }>): Promise<void> {
    try {
      const value = await this.#handlers[method]!(...(args as never[]))
      if (value instanceof Moved)
        this.#port.postMessage({ answer: call, value: value.value } satisfies Message, value.transfer)
      else this.#port.postMessage({ answer: call, value } satisfies Message)
    } catch (error) {
      this.#port.postMessage({ answer: call, error: toPlain(error) } satisfies Message)
    }
  }

  #settle({ answer, value, error }: Extract<Message, { answer: number }>): void {
    const pending = this.#pending.get(answer)
    this.#pending.delete(answer)
    if (error) pending?.reject(fromPlain(error))
    else pending?.resolve(value)
  }
}

const MOST_CAUSES = 8

/** Causes go a few levels deep, and may even go round in a circle. */
function toPlain(error: unknown, depth = 0): PlainError {
  if (!(error instanceof Error)) return { message: String(error) }
  return {
    name: error.name,
    message: error.message,
    ...(isMillraceError(error) ? { code: error.code, retryable: error.retryable } : {}),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(error.cause === undefined || depth === MOST_CAUSES ? {} : { cause: toPlain(error.cause, depth + 1) }),
  }
}

function fromPlain({ name, code, message, retryable, stack, cause }: PlainError): Error {
  const because = cause ? { cause: fromPlain(cause) } : {}
  const error =
    code !== undefined && code in ERRORS
      ? new MillraceError(code as ErrorCode, message, { ...because, ...(retryable === undefined ? {} : { retryable }) })
      : new Error(message, because)
  if (name !== undefined) error.name = name
  if (stack !== undefined) error.stack = stack
  return error
}
