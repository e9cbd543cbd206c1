import { setTimeout as pause } from 'node:timers/promises'
import { ExponentialBackoff, fullJitterGenerator, type IBackoff } from 'cockatiel'
import type { Encoding } from '../columnar/read-plan.ts'
import type { MessageBatch, Proof, SinkSession } from '../sinks/sink.ts'
import { type Attempted, type Circuit, retryAfterMs } from './circuit.ts'
import { Ending } from './ending.ts'
import { DeliveryError, isMillraceError } from './errors.ts'
import { narrow } from './narrowing.ts'

export interface Attempts {
  readonly encoding: Encoding
  /** Over all attempts. */
  readonly deliveryDeadlineMs: number
  readonly maxAttempts: number
  /** Aborts what is under way, and with it the whole delivery of the batch. */
  readonly signal: AbortSignal
  /** Ends the delivery of the batch as well, but not while it is being written. */
  readonly leave?: AbortSignal
  /** Of the destination. Without: attempts wait for nothing but their own pauses. */
  readonly circuit?: Circuit | undefined
}

/** Every row of the batch is either durable or refused for good. */
export interface Written {
  readonly proof: Proof
  /** By position in the batch, with the destination's reason. */
  readonly refused: ReadonlyMap<number, unknown>
  /** No write of it failed. After one that did nobody can know whether something still reads the batch's bytes. */
  readonly clean: boolean
}

/** The pauses between attempts. */
export const BACKOFF: ExponentialBackoff<unknown> = new ExponentialBackoff({
  generator: fullJitterGenerator,
  initialDelay: 100,
  maxDelay: 30_000,
})

/**
 * Writes one batch until each of its rows is durable or refused for good, with exponential backoff and full jitter
 * between the attempts (AWS Architecture Blog, "Exponential Backoff And Jitter"). Sends again only the rows that the sink
 * said are not delivered. Rejects when that cannot be had: the deadline passed, the attempts are used up, a signal aborted, or the
 * sink's own retries (`retries: 'own'`) gave up. By then no write is under way, save one that ignored its signal for the whole grace.
 */
export async function writeBatch(session: SinkSession, batch: MessageBatch, attempts: Attempts): Promise<Written> {
  const { encoding, deliveryDeadlineMs: deadlineMs, maxAttempts, signal, leave, circuit } = attempts
  const ending = new Ending(signal)
  const between = leave ? AbortSignal.any([ending.signal, leave]) : ending.signal
  const refused = new Map<number, unknown>()
  const proof: Proof[number][] = []
  let lastError: unknown
  let left = batch
  /** Where the rows that are left lie in the batch as it came. */
  let positions: readonly number[] | undefined
  let backoff: IBackoff<unknown> = BACKOFF.next()
  const deadline = setTimeout(() => ending.abort(tooLate(deadlineMs, lastError ?? circuit?.failure)), deadlineMs)
  try {
    for (let attempt = 1; ; attempt++) {
      between.throwIfAborted()
      const make = (): Promise<Outcome> => attemptOnce(session, left, ending)
      const outcome = await (circuit ? circuit.attempt(make, between) : make())
      proof.push(...outcome.proof)
      for (const [index, cause] of outcome.refused) refused.set(positions ? positions[index]! : index, cause)
      if (outcome.again.length === 0) return { proof, refused, clean: attempt === 1 && outcome.error === undefined }
      lastError = outcome.error
      if (attempt >= maxAttempts) throw usedUp(attempt, lastError)
      if (outcome.again.length < left.rows) {
        left = narrow(left, encoding, outcome.again)
        positions = outcome.again.map(index => (positions ? positions[index]! : index))
      }
      // not cockatiel's own loop, whose pauses cannot be cut short; waiting past the deadline is in vain
      const pauseMs = Math.min(deadlineMs, Math.max(backoff.duration, retryAfterMs(lastError)))
      await pause(pauseMs, undefined, { signal: between }).catch(() => {})
      backoff = backoff.next(undefined)
    }
  } finally {
    clearTimeout(deadline)
    ending.clear()
  }
}

/** What becomes of a batch whose rows could not be encoded as the destination asks: it is not asked. */
export function refuseUnsent(rows: number, refusal: string): Written {
  const cause = new DeliveryError(refusal, { retryable: false })
  return { proof: [], refused: new Map(Array.from({ length: rows }, (_, row) => [row, cause])), clean: true }
}

interface Verdict {
  /** By position in the batch that was written. */
  readonly refused: ReadonlyMap<number, unknown>
  readonly again: readonly number[]
}

interface Outcome extends Verdict, Attempted {
  readonly proof: Proof
  /** Of an attempt that failed, wholly or in part. */
  readonly error?: unknown
}

async function attemptOnce(session: SinkSession, batch: MessageBatch, ending: Ending): Promise<Outcome> {
  try {
    const proof = (await ending.wait(session.write(batch, ending.signal))) ?? []
    return { proof, refused: new Map(), again: [] }
  } catch (error) {
    ending.signal.throwIfAborted()
    const verdict = judge(error, batch, session.retries ?? 'engine')
    const proof = isDeliveryError(error) ? (error.proof ?? []) : [] // another copy of the package may not know it
    return { proof, error, ...verdict, ...(verdict.again.length === batch.rows ? { failure: error } : {}) }
  }
}

/** Sorts the rows of a failed write into those refused for good and those to send again; throws what fails the destination. */
function judge(error: unknown, batch: MessageBatch, retries: 'engine' | 'own'): Verdict {
  const verdict = sort(error, batch.rows, retries)
  const gaveUp = retries === 'own' && verdict.again.length > 0
  // refused rows can be taken out of any batch, a smaller one be made only of what shows its rows
  const inseparable = batch.ends.length === 0 && verdict.again.length > 0 && verdict.again.length < batch.rows
  if (gaveUp || inseparable) throw error
  return verdict
}

function sort(error: unknown, rows: number, retries: 'engine' | 'own'): Verdict {
  const all = Array.from({ length: rows }, (_, index) => index)
  if (!isDeliveryError(error)) return { refused: new Map(), again: all }
  const { failed, rest } = error
  if (failed === undefined) {
    if (error.retryable) return { refused: new Map(), again: all }
    if (error.code !== 'delivery_failed') throw error // a wrong set-up is not the rows' fault
    return { refused: new Map(all.map(index => [index, error])), again: [] }
  }
  const mayPass = (cause: unknown): boolean => retries === 'engine' && isMillraceError(cause) && cause.retryable
  const refused = new Map([...failed].filter(([, cause]) => !mayPass(cause)))
  const again = all.filter(index => !refused.has(index) && (failed.has(index) || rest === 'not delivered'))
  return { refused, again }
}

/** Structural, so that a sink with another copy of the package is understood. */
function isDeliveryError(error: unknown): error is DeliveryError {
  return isMillraceError(error) && 'rest' in error
}

function tooLate(deadlineMs: number, cause: unknown): DeliveryError {
  return undelivered(`within ${deadlineMs / 1000} s`, cause)
}

function usedUp(attempts: number, cause: unknown): DeliveryError {
  return undelivered(`in ${attempts} attempts (maxAttempts)`, cause)
}

function undelivered(bound: string, cause: unknown): DeliveryError {
  const reason = cause instanceof Error ? `: ${cause.message}` : ', and the destination did not answer'
  return new DeliveryError(`a batch was not delivered ${bound}${reason}`, { code: 'destination_unavailable', cause })
}
