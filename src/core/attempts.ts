import {
  DelegateBackoff,
  ExponentialBackoff,
  fullJitterGenerator,
  handleWhen,
  type IBackoff,
  type IRetryBackoffContext,
  retry,
} from 'cockatiel'
import type { Encoding } from '../columnar/read-plan.ts'
import type { MessageBatch, Proof, SinkSession } from '../sinks/sink.ts'
import { DeliveryError, isMillraceError } from './errors.ts'
import { narrow } from './narrowing.ts'

export interface Attempts {
  readonly encoding: Encoding
  /** Over all attempts. */
  readonly deadlineMs: number
  /** Aborts what is under way, and with it the whole delivery of the batch. */
  readonly signal: AbortSignal
}

/** Every row of the batch is either durable or refused for good. */
export interface Written {
  readonly proof: Proof
  /** By position in the batch, with the destination's reason. */
  readonly refused: ReadonlyMap<number, unknown>
}

/**
 * Writes one batch until each of its rows is durable or refused for good, with exponential backoff and full jitter
 * between the attempts (AWS Architecture Blog, "Exponential Backoff And Jitter"). Sends again only the rows that the sink
 * said are not delivered. Rejects when that cannot be had: the deadline passed, the signal aborted, or the sink's
 * own retries (`retries: 'own'`) gave up.
 */
export async function writeBatch(session: SinkSession, batch: MessageBatch, attempts: Attempts): Promise<Written> {
  const refused = new Map<number, unknown>()
  const proof: Proof[number][] = []
  let left = batch
  let positions: readonly number[] = Array.from({ length: batch.rows }, (_, index) => index)
  let lastError: unknown
  const deadline = deadlineSignal(attempts.deadlineMs, attempts.signal, () => lastError)

  async function attempt(): Promise<void> {
    deadline.signal.throwIfAborted()
    try {
      proof.push(...((await session.write(left, deadline.signal)) ?? []))
    } catch (error) {
      lastError = error
      const verdict = judge(error, left, session.retries ?? 'engine')
      for (const [index, cause] of verdict.refused) refused.set(positions[index]!, cause)
      if (verdict.again.length === 0) return
      if (verdict.again.length < left.rows) {
        left = narrow(left, attempts.encoding, verdict.again)
        positions = verdict.again.map(index => positions[index]!)
      }
      throw new Again(error)
    }
  }

  try {
    await Promise.race([policy().execute(attempt), deadline.aborted])
    return { proof, refused }
  } finally {
    deadline.clear()
  }
}

/** Wraps an error after which the rows that are left are to be tried again. */
class Again extends Error {
  constructor(cause: unknown) {
    super('again', { cause })
  }
}

interface Verdict {
  /** By position in the batch that was written. */
  readonly refused: ReadonlyMap<number, unknown>
  readonly again: readonly number[]
}

/** Sorts the rows of a failed write into those refused for good and those to send again; throws what fails the destination. */
function judge(error: unknown, batch: MessageBatch, retries: 'engine' | 'own'): Verdict {
  const all = Array.from({ length: batch.rows }, (_, index) => index)
  const engineRetries = retries === 'engine'
  if (!isDeliveryError(error)) {
    if (engineRetries) return { refused: new Map(), again: all }
    throw error
  }
  if (error.failed === undefined) {
    if (error.retryable && engineRetries) return { refused: new Map(), again: all }
    // a batch whose rows cannot be told apart cannot be dead-lettered row by row, and a wrong set-up is not the rows' fault
    if (error.retryable || error.code !== 'delivery_failed' || batch.ends.length === 0) throw error
    return { refused: new Map(all.map(index => [index, error])), again: [] }
  }
  const failed = error.failed
  const refused = new Map(
    [...failed].filter(([, cause]) => !(engineRetries && isMillraceError(cause) && cause.retryable)),
  )
  const again = all.filter(index => !refused.has(index) && (failed.has(index) || error.rest === 'not delivered'))
  if (again.length > 0 && !engineRetries) throw error
  return { refused, again }
}

/** Structural, so that a sink with another copy of the package is understood. */
function isDeliveryError(error: unknown): error is DeliveryError {
  return isMillraceError(error) && 'rest' in error
}

function policy(): ReturnType<typeof retry> {
  const jitter = new ExponentialBackoff({ generator: fullJitterGenerator, initialDelay: 100, maxDelay: 30_000 })
  const backoff = new DelegateBackoff<IRetryBackoffContext<unknown>, IBackoff<unknown>>((context, state) => {
    const next = state ? state.next(undefined) : jitter.next()
    return { delay: Math.max(next.duration, retryAfterMs(context)), state: next }
  })
  return retry(
    handleWhen(error => error instanceof Again),
    { maxAttempts: Number.POSITIVE_INFINITY, backoff },
  ).dangerouslyUnref() // the deadline's timer keeps the process alive for as long as it is waited for
}

function retryAfterMs({ result }: IRetryBackoffContext<unknown>): number {
  const cause = 'error' in result ? (result.error as Error).cause : undefined
  return isMillraceError(cause) ? (cause.retryAfterMs ?? 0) : 0
}

interface Deadline {
  readonly signal: AbortSignal
  /** Rejects with the signal's reason. */
  readonly aborted: Promise<never>
  clear(): void
}

/** Not `AbortSignal.any`: one of these is made for every batch, and must leave nothing behind on the long-lived parent. */
function deadlineSignal(deadlineMs: number, parent: AbortSignal, lastError: () => unknown): Deadline {
  const controller = new AbortController()
  const onAbort = (): void => controller.abort(parent.reason)
  const timer = setTimeout(() => controller.abort(deadlineError(deadlineMs, lastError())), deadlineMs)
  const aborted = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () => reject(controller.signal.reason), { once: true })
  })
  aborted.catch(() => {})
  if (parent.aborted) onAbort()
  else parent.addEventListener('abort', onAbort, { once: true })
  return {
    signal: controller.signal,
    aborted,
    clear() {
      clearTimeout(timer)
      parent.removeEventListener('abort', onAbort)
    },
  }
}

function deadlineError(deadlineMs: number, cause: unknown): DeliveryError {
  const reason = cause instanceof Error ? `: ${cause.message}` : ', and the destination did not answer'
  return new DeliveryError(`a batch was not delivered within ${deadlineMs / 1000} s${reason}`, {
    code: 'destination_unavailable',
    cause,
  })
}
