import type { Producer } from '@platformatic/kafka'
import { closeClient } from './client.ts'

/** `Producer` as this sink uses it: it hands over bytes. */
export type BytesProducer = Producer<Buffer, Buffer, Buffer, Buffer>

export interface Producers {
  /** Runs `work` with a producer that nothing else uses until it has settled; waits where all are busy. */
  use<T>(work: (producer: BytesProducer) => Promise<T>): Promise<T>
  /** What is being sent fails. */
  close(): Promise<void>
}

/**
 * As many producers as there are sends at once, up to `most`, made when they are needed. One producer would take several
 * sends, but it retries each by itself: when a connection broke under four of them, batches came out of order and some
 * twice, `idempotent` or not, because one that arrives out of sequence goes again under a new producer id. With one send
 * at a time a producer keeps its word.
 */
export function producers(most: number, create: () => BytesProducer): Producers {
  const made: BytesProducer[] = []
  const idle: BytesProducer[] = []
  const waiting: ((producer: BytesProducer) => void)[] = []

  function next(): BytesProducer | Promise<BytesProducer> {
    const free = idle.pop()
    if (free) return free
    if (made.length === most) return new Promise(resolve => waiting.push(resolve))
    const producer = create()
    made.push(producer)
    return producer
  }

  return {
    async use(work) {
      const producer = await next()
      try {
        return await work(producer)
      } finally {
        const waiter = waiting.shift()
        if (waiter) waiter(producer)
        else idle.push(producer)
      }
    },
    async close() {
      await Promise.all(made.map(closeClient))
    },
  }
}
