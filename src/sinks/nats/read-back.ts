/** Reads the messages of a job back from its stream, by an ordered consumer: the client's own, which leaves nothing at the server. */
import type { JsMsg, StreamState } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { proofRows, type Range, rangesOf } from '../../core/proof.ts'
import { within } from '../deadline.ts'
import type { DeliveredJob, HeldRow, ReadBack } from '../sink.ts'
import { nameOf, unavailable } from './errors.ts'
import type { NatsSettings } from './options.ts'
import { ID_HEADER } from './publisher.ts'
import { findStream, type JetStream, managerOf } from './stream.ts'

/** Of a piece, and of what the server sends ahead. */
const MESSAGES = 250

/** Every message from the first sequence number of the proof to the last. */
export async function* readStreamBack(
  jetStream: JetStream,
  connection: NatsConnection,
  settings: NatsSettings,
  { delivered, proof }: DeliveredJob,
  signal: AbortSignal,
): AsyncGenerator<ReadBack> {
  const unplaced = delivered - proofRows(proof)
  if (unplaced > 0) yield { unreadable: unplaced, reason: `the stream did not say where ${unplaced} of the rows are` }
  const ranges = rangesOf(proof).get(0)
  if (ranges === undefined) return
  const manager = await managerOf(jetStream, connection, settings)
  const stream = await findStream(manager, settings)
  const { state } = await manager.streams.info(stream)
  let proven = 0
  for await (const rows of piecesOf(jetStream, connection, settings, { stream, state, ranges }, signal)) {
    proven += rows.filter(row => row.proven).length
    yield { rows }
  }
  const gone = proofRows(proof) - proven
  if (gone > 0) yield { unreadable: gone, reason: `stream ${stream} no longer holds ${gone} of the messages` }
}

interface Wanted {
  readonly stream: string
  readonly state: StreamState
  readonly ranges: readonly Range[]
}

async function* piecesOf(
  { jetstream, DeliverPolicy }: JetStream,
  connection: NatsConnection,
  settings: NatsSettings,
  { stream, state, ranges }: Wanted,
  signal: AbortSignal,
): AsyncGenerator<HeldRow[]> {
  const [first, last] = [Number(ranges[0]!.first), Number(ranges.at(-1)!.last)]
  if (first > state.last_seq) return
  const start = { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: first }
  const consumer = await jetstream(connection, { timeout: settings.timeoutMs }).consumers.get(stream, start)
  if ((await consumer.info()).num_pending === 0) return
  const messages = await consumer.consume({ max_messages: MESSAGES })
  const iterator = messages[Symbol.asyncIterator]()
  const late = () => unavailable(nameOf(settings), `stream ${stream} sent nothing more (timeoutMs)`)
  try {
    let rows: HeldRow[] = []
    for (let pending = 1; pending > 0; ) {
      const next = await within(settings.timeoutMs, [signal], late, () => iterator.next())
      if (next.done) throw late()
      const message: JsMsg = next.value
      if (message.seq > last) break
      rows.push(rowOf(message, ranges))
      pending = message.seq === last ? 0 : message.info.pending
      if (rows.length < MESSAGES) continue
      yield rows
      rows = []
    }
    if (rows.length > 0) yield rows
  } finally {
    // not `close`, which waits for somebody to read to the end
    messages.stop()
    await consumer.delete()
  }
}

function rowOf({ seq, data, headers }: JsMsg, ranges: readonly Range[]): HeldRow {
  const id = headers?.get(ID_HEADER)
  return { payload: data, key: null, id: id ? Buffer.from(id) : null, proven: isIn(ranges, BigInt(seq)) }
}

/** Ranges are in order and do not adjoin. */
function isIn(ranges: readonly Range[], sequence: bigint): boolean {
  let [low, high] = [0, ranges.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if (ranges[middle]!.last < sequence) low = middle + 1
    else high = middle
  }
  const { first, last } = ranges[low]!
  return first <= sequence && sequence <= last
}
