import { type Gate, Pacer } from '../../src/core/pace.ts'
import type { MessageBatch, Proof, SinkSession } from '../../src/sinks/sink.ts'

/** What one call of `write` does: an error to reject with, a proof to resolve with, or anything else. */
export type Answer = Error | Proof | ((batch: MessageBatch, signal: AbortSignal) => Promise<Proof | void>)

/** A session whose writes are answered one by one as told; those behind the last answer succeed. */
export function fakeSession(answers: readonly Answer[], extras: Partial<SinkSession> = {}) {
  const batches: MessageBatch[] = []
  const times: number[] = []
  const session: SinkSession = {
    async write(batch, signal) {
      const answer = answers[batches.push(batch) - 1]
      times.push(performance.now())
      if (answer instanceof Error) throw answer
      return typeof answer === 'function' ? answer(batch, signal) : answer
    },
    async close() {},
    ...extras,
  }
  return { session, batches, times }
}

export const never: Answer = () => new Promise(() => {})

export const untilAborted: Answer = (_, signal) =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))

/** For units that nothing holds up. */
export const ungated = (wake: () => void): Gate => new Pacer().gate(wake)
