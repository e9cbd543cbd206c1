/** One batch after the other through `writeBatch`, in simulated time. */
import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, expect } from 'vitest'
import { writeBatch } from '../../src/core/attempts.ts'
import { DeliveryError } from '../../src/core/errors.ts'
import type { Encoding, MessageBatch, SinkSession } from '../../src/sinks/sink.ts'
import { fakeMessage, fakeRows, fakeUnit, payloadsOf } from './fake-batch.ts'
import { SimulatedTime } from './simulated-time.ts'

export let time: SimulatedTime
export let parent: AbortController

/** For each test of the file; none may leave a timer or a listener behind. */
export function simulateTime(): void {
  beforeEach(() => {
    time = new SimulatedTime(() => 0.5)
    parent = new AbortController()
  })

  afterEach(() => {
    const left = [time.timers, getEventListeners(parent.signal, 'abort').length]
    time.restore()
    expect(left).toEqual([0, 0])
  })
}

export const busy = (retryAfterMs = 0): DeliveryError => new DeliveryError('busy', { retryable: true, retryAfterMs })
export const refusal = (): DeliveryError => new DeliveryError('too large')

export function batchOf(rows: number, encoding?: Encoding): MessageBatch {
  return fakeMessage(fakeUnit(), fakeRows(rows), encoding)
}

export function write(
  session: SinkSession,
  batch: MessageBatch,
  { deadlineMs = 60_000, maxAttempts = 1_000, encoding = { kind: 'rows' } as Encoding } = {},
) {
  return time.run(
    writeBatch(session, batch, { encoding, deliveryDeadlineMs: deadlineMs, maxAttempts, signal: parent.signal }),
    1_000,
  )
}

export function rowsOf(batch: MessageBatch, encoding?: Encoding): number[] {
  return payloadsOf(batch, encoding).map(payload => JSON.parse(payload).row)
}
