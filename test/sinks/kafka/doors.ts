/** What stands between a client and the brokers of a cluster: passes requests and answers on, or does not. */
import { createServer, type Server, Socket } from 'node:net'

const PRODUCE = 0
/** Most requests that the client has in flight on a connection. */
const IN_FLIGHT = 5

export interface Passing {
  readonly broker: number
  readonly apiKey: number
  /** Requests of this kind through all doors so far, counted from 0. */
  readonly number: number
  /** With its length in front. */
  readonly request: Buffer
}

/** What becomes of a request: it passes; it never arrives; its answer is lost, and the connection with it. */
export type Fate = 'pass' | 'drop' | 'lose answer'

export interface Doors {
  /** Judges every produce request; `pass` by default. */
  judge: (passing: Passing) => Fate | Promise<Fate>
  readonly produced: readonly Passing[]
  /** What produce requests were answered to wait for, in milliseconds. */
  readonly throttles: readonly number[]
  /** Produce requests that came over a connection before the time that it had been told to wait had passed. */
  readonly impatient: number
  /** Breaks all connections. */
  cut(): void
  close(): Promise<void>
}

export async function openDoors(
  doors: readonly { readonly id: number; readonly via: number; readonly behind: number }[],
): Promise<Doors> {
  const sockets = new Set<Socket>()
  const produced: Passing[] = []
  const throttles: number[] = []
  const opened = {
    judge: (() => 'pass') as Doors['judge'],
    produced,
    throttles,
    impatient: 0,
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    async close() {
      opened.cut()
      await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
    },
  }

  function serve(broker: number, behind: number, client: Socket): void {
    const server = new Socket()
    const unanswered = new Set<number>()
    const asked = new Set<number>()
    let pauseEnds = 0
    let throttled = false
    /** Most requests that may have been sent before an answer that throttles came, and that arrive later. */
    let underWay = 0
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(one)
      one.on('error', () => {})
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
    }
    server.connect(behind, '127.0.0.1')
    let order = Promise.resolve()
    onFrames(client, request => {
      const apiKey = request.readInt16BE(4)
      const passing = { broker, apiKey, number: produced.length, request }
      if (apiKey === PRODUCE) {
        produced.push(passing)
        asked.add(request.readInt32BE(8))
        if (performance.now() < pauseEnds && underWay-- <= 0) opened.impatient++
      }
      order = order.then(async () => {
        const fate = apiKey === PRODUCE ? await opened.judge(passing) : 'pass'
        if (fate === 'drop') return
        if (fate === 'lose answer') unanswered.add(request.readInt32BE(8))
        if (!server.destroyed) server.write(request)
      })
    })
    onFrames(server, answer => {
      const correlationId = answer.readInt32BE(4)
      if (asked.delete(correlationId)) {
        // the last field but for the tags, of which there are none
        const throttleMs = answer.readInt32BE(answer.length - 5)
        throttles.push(throttleMs)
        if (!throttled) underWay = IN_FLIGHT - 1 - asked.size
        throttled = throttleMs > 0
        // timers may be a little early
        pauseEnds = performance.now() + throttleMs - 5
      }
      if (unanswered.has(correlationId)) client.destroy()
      else if (!client.destroyed) client.write(answer)
    })
  }

  const servers = await Promise.all(
    doors.map(({ id, via, behind }) => {
      const server = createServer(client => serve(id, behind, client))
      return new Promise<Server>((resolve, reject) => {
        server.once('error', reject)
        server.listen(via, '127.0.0.1', () => resolve(server))
      })
    }),
  )
  return opened
}

/** Kafka's messages, each with its length in front. */
function onFrames(socket: Socket, onFrame: (frame: Buffer) => void): void {
  let pending: Buffer[] = []
  let length = 0
  socket.on('data', data => {
    pending.push(data)
    length += data.length
    while (length >= 4) {
      const head = pending.length === 1 || pending[0]!.length >= 4 ? pending[0]! : Buffer.concat(pending)
      const size = 4 + head.readInt32BE(0)
      if (length < size) return
      const received = Buffer.concat(pending)
      onFrame(received.subarray(0, size))
      pending = received.length > size ? [received.subarray(size)] : []
      length -= size
    }
  })
}

export interface ProducedBatch {
  readonly partition: number
  readonly producerId: bigint
  readonly epoch: number
  readonly sequence: number
  readonly records: number
}

/** The record batch in a produce request of version 9, for a topic whose name is not long. */
export function batchIn({ request }: Passing): ProducedBatch {
  // behind size, API, version, correlation id, client id, tags, no transactional id, acks, timeout, one topic
  let at = 4 + 2 + 2 + 4
  at += 2 + request.readInt16BE(at) + 1 + 1 + 2 + 4 + 1
  // its name, and one partition
  at += request[at]! + 1
  const partition = request.readInt32BE(at)
  at += 4
  // the length of the batch in bytes of seven bits
  while (request[at++]! >= 0x80);
  return {
    partition,
    producerId: request.readBigInt64BE(at + 43),
    epoch: request.readInt16BE(at + 51),
    sequence: request.readInt32BE(at + 53),
    records: request.readInt32BE(at + 57),
  }
}
