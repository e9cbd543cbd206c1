import { setTimeout as pause } from 'node:timers/promises'
import type { SinkSession } from '../sinks/sink.ts'
import { BACKOFF } from './attempts.ts'
import { retryAfterMs } from './circuit.ts'
import { type DestinationName, nameOf } from './destination-name.ts'
import { publish } from './diagnostics.ts'
import { asMillraceError, isMillraceError, MillraceError } from './errors.ts'

export interface Patience {
  readonly destination: DestinationName
  /** Over all attempts; one that is under way is not cut short. */
  readonly deadlineMs: number
  /** Ends the waiting for another attempt. */
  readonly signal: AbortSignal
}

/** Opens a session, again and again while that fails with what may pass. Rejects with the last error. */
export async function openPatiently(open: () => Promise<SinkSession>, patience: Patience): Promise<SinkSession> {
  const { destination, deadlineMs, signal } = patience
  const lateAt = performance.now() + deadlineMs
  for (let backoff = BACKOFF.next(); ; backoff = backoff.next(undefined)) {
    try {
      return await open()
    } catch (error) {
      const pauseMs = Math.max(backoff.duration, retryAfterMs(error))
      const mayPass = isMillraceError(error) && error.retryable
      if (signal.aborted || !mayPass || performance.now() + pauseMs >= lateAt) throw error
      publish('warning', { message: `${nameOf(destination)} could not be opened yet`, error })
      await pause(pauseMs, undefined, { signal }).catch(() => {})
      if (signal.aborted) throw error
    }
  }
}

/** The failure of a destination, as its job tells it. */
export function failureOf(destination: DestinationName, error: unknown): MillraceError {
  const { code, message, retryable, problems } = asMillraceError(error, 'unexpected error')
  return new MillraceError(code, `${nameOf(destination)}: ${message}`, { cause: error, retryable, problems })
}
