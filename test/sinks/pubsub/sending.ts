/** Driving the Pub/Sub sink in tests. */
import { expect } from 'vitest'
import { DeliveryError } from '../../../src/core/errors.ts'
import { type PubsubSinkOptions, pubsubSink } from '../../../src/sinks/pubsub.ts'
import type { Order, Sink, SinkSession } from '../../../src/sinks/sink.ts'
import { openSession, type TestRow, testJob, testUnit, writeRows } from '../../../src/testing/sink-driver.ts'
import { PROJECT } from './topics.ts'

export type SinkTo = (topic: string, options?: Partial<PubsubSinkOptions>) => Sink

/** `host`: of an emulator. */
export function sinksAt(host: string): SinkTo {
  return (topic, options = {}) => pubsubSink({ name: 'test', topic, projectId: PROJECT, apiEndpoint: host, ...options })
}

/** All the rows, in batches of `batchRows` where the session takes as many. */
export async function send(
  sink: Sink,
  rows: readonly TestRow[],
  { batchRows = rows.length, order = 'none' as Order } = {},
) {
  const job = testJob(sink)
  const session = await open(sink, order)
  try {
    await writeRows(session, testUnit(job, 0), rows, { batchRows })
  } finally {
    await session.close()
  }
}

/** As `openSession`, with an order. */
export async function open(sink: Sink, order: Order = 'none', probe = false): Promise<SinkSession> {
  const ordered: Sink = { type: sink.type, name: sink.name, open: context => sink.open({ ...context, order }) }
  return openSession(testJob(ordered), probe)
}

export async function failure(work: Promise<unknown>): Promise<DeliveryError> {
  const error = await work.then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(error).toBeInstanceOf(Error)
  return error as DeliveryError
}

export function reasons({ failed }: DeliveryError): Record<number, [retryable: boolean, message: string]> {
  return Object.fromEntries(
    Array.from(failed!, ([row, cause]) => {
      expect(cause).toBeInstanceOf(DeliveryError)
      return [row, [(cause as DeliveryError).retryable, (cause as DeliveryError).message]] as const
    }),
  )
}
