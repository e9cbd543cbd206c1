import { connect, type Socket } from 'node:net'

interface Asked {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * A bare connection that sends record batches by reference and nothing else: Produce, version 7, acks=all
 * (https://kafka.apache.org/protocol#The_Messages_Produce), which brokers of Kafka 2.1 to 4 know, and Redpanda. A broker answers in
 * the order in which it is asked.
 */
export class ProduceLine {
  readonly #socket: Socket
  readonly #asked: Asked[] = []
  #received: Buffer = Buffer.alloc(0)

  constructor({ host, port }: { readonly host: string; readonly port: number }) {
    this.#socket = connect({ host, port, noDelay: true })
    this.#socket.on('data', data => this.#onData(data))
    this.#socket.on('error', error => {
      for (const { reject } of this.#asked.splice(0)) reject(error)
    })
  }

  /** Resolves when the broker has acknowledged the batch; rejects with its error code. */
  produce(topic: string, partition: number, batch: Buffer): Promise<void> {
    const head = produceHead(topic, partition, batch.length)
    return new Promise((resolve, reject) => {
      this.#asked.push({ resolve, reject })
      this.#socket.cork()
      this.#socket.write(head)
      this.#socket.write(batch)
      this.#socket.uncork()
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #onData(data: Buffer): void {
    this.#received = this.#received.length === 0 ? data : Buffer.concat([this.#received, data])
    while (this.#received.length >= 4) {
      const end = 4 + this.#received.readInt32BE(0)
      if (this.#received.length < end) return
      const error = errorOf(this.#received)
      this.#received = this.#received.subarray(end)
      const { resolve, reject } = this.#asked.shift()!
      if (error === 0) resolve()
      else reject(new Error(`the broker answered with error ${error}`))
    }
  }
}

/** Of one partition of one topic: size, correlation id, count, topic, count and partition come first. */
function errorOf(answer: Buffer): number {
  const topicBytes = answer.readInt16BE(12)
  return answer.readInt16BE(14 + topicBytes + 4 + 4)
}

/** All of the request up to the batch. */
function produceHead(topic: string, partition: number, batchBytes: number): Buffer {
  const name = Buffer.from(topic)
  const head = Buffer.alloc(4 + 8 + 2 + 2 + 2 + 4 + 4 + 2 + name.length + 4 + 4 + 4)
  let at = head.writeInt32BE(head.length - 4 + batchBytes, 0)
  at = head.writeInt16BE(0, at) // Produce
  at = head.writeInt16BE(7, at)
  at = head.writeInt32BE(0, at) // correlation id
  at = head.writeInt16BE(-1, at) // client id
  at = head.writeInt16BE(-1, at) // transactional id
  at = head.writeInt16BE(-1, at) // acks: all
  at = head.writeInt32BE(30_000, at)
  at = head.writeInt32BE(1, at)
  at = head.writeInt16BE(name.length, at)
  at += name.copy(head, at)
  at = head.writeInt32BE(1, at)
  at = head.writeInt32BE(partition, at)
  head.writeInt32BE(batchBytes, at)
  return head
}
