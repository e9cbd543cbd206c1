/**
 * Node streams over the same parts, for hosts that want to `pipeline()` staged files into a sink, or something of their own
 * in between. No job, no store, no checkpoints: the pipeline either ends or fails as a whole.
 *
 *     const unit = streamUnit({ files, spanRows: 8192 })
 *     const session = await sink.open(streamContext({ schema }))
 *     await pipeline(batchReadable(unit, session, access), sinkWritable(unit, session))
 *     await session.close()
 */
import { randomUUID } from 'node:crypto'
import { Readable, Writable } from 'node:stream'
import type { TableSchema } from '../columnar/column-type.ts'
import type { Encoding, FileAccess, FilledBatch, UnitReader } from '../columnar/read-plan.ts'
import type { MessageBatch, SinkContext, SinkSession } from '../sinks/sink.ts'
import type { StagedFile } from '../sources/source.ts'
import { writeBatch } from './attempts.ts'
import { DeliveryError, messageOf } from './errors.ts'
import { createLanes, type Lanes } from './lanes.ts'
import { narrowAll } from './narrowing.ts'
import { DELIVERY_DEFAULTS, ROW_GROUP_BUDGET_BYTES } from './options.ts'
import { toMessage } from './outgoing.ts'
import { encodingOf, planReading, planSpanRows } from './plan.ts'
import type { Unit } from './unit.ts'

const DESTINATION = { type: 'stream', name: 'stream', uid: '00000000-0000-8000-8000-000000000000' }

/** The files of a pipeline as one unit. Anything of the unit can be overridden. */
export function streamUnit({ files, ...overrides }: { readonly files: readonly StagedFile[] } & Partial<Unit>): Unit {
  return {
    id: 'stream',
    attempt: 1,
    jobId: randomUUID(),
    organizationId: 'default',
    leaseEpoch: 1,
    destination: DESTINATION,
    delivery: 0,
    chunks: files.map((file, chunk) => ({ chunk, file })),
    from: [],
    spanRows: planSpanRows(files),
    order: 'none',
    limits: { ...DELIVERY_DEFAULTS, rowGroupBudgetBytes: ROW_GROUP_BUDGET_BYTES },
    ...overrides,
  }
}

/** What `Sink.open` wants to know, outside a job. */
export function streamContext({
  schema,
  ...overrides
}: { readonly schema: TableSchema } & Partial<SinkContext>): SinkContext {
  return {
    jobId: randomUUID(),
    organizationId: 'default',
    destination: DESTINATION,
    schema,
    order: 'none',
    probe: false,
    staticEgressIp: false,
    leaseEpoch: 1,
    saved: undefined,
    save: async () => {},
    reframe: reframeHere,
    signal: new AbortController().signal,
    ...overrides,
  }
}

/**
 * The rows of a unit as message batches that own their bytes, encoded and cut as the session asks. Reads one span at a time,
 * and only when somebody wants more: a slow consumer holds up the reading of files.
 */
export function batchReadable(
  unit: Unit,
  session: SinkSession,
  access: (file: StagedFile, signal: AbortSignal) => Promise<FileAccess>,
  options: { readonly lanes?: number } = {},
): Readable {
  const ended = new AbortController()
  const encoding = encodingOf(session)
  const files = new Map(unit.chunks.map(({ chunk, file }) => [chunk, file]))
  const openFile = (chunk: number): Promise<FileAccess> => access(files.get(chunk)!, ended.signal)
  let lanes: Lanes | undefined
  let reader: UnitReader | undefined

  async function* batches(): AsyncGenerator<MessageBatch> {
    lanes = createLanes(options.lanes ?? 1)
    reader = lanes.read(planReading(unit, session, unit.from), openFile, noValueSets)
    for (let span = await reader.next(); span; span = await reader.next()) yield* messages(span.batches)
    yield* messages(await reader.cut())
  }

  function* messages(batches: readonly FilledBatch[]): Generator<MessageBatch> {
    for (const filled of batches) {
      if (filled.refusal !== undefined) throw new DeliveryError(filled.refusal, { retryable: false })
      const message = toMessage(unit, filled)
      encodings.set(message, encoding)
      yield message
    }
  }

  const source = batches()
  // not Readable.from, whose end waits for a read that is under way, and so for an access that hangs
  return new Readable({
    objectMode: true,
    highWaterMark: 1,
    read() {
      source.next().then(
        ({ done, value }) => this.push(done ? null : value),
        error => this.destroy(error),
      )
    },
    destroy(error, done) {
      ended.abort()
      Promise.resolve(reader?.close())
        .then(() => lanes?.close())
        .then(() => done(error), done)
    },
  })
}

/** How the batches of streams are framed; their session says so, but the context that it was opened with came before. */
const encodings = new WeakMap<MessageBatch, Encoding>()

async function reframeHere(batch: MessageBatch, groups: readonly (readonly number[])[]): Promise<MessageBatch[]> {
  const encoding = encodings.get(batch)
  if (!encoding) throw new DeliveryError('only batches of batchReadable can be cut apart')
  const { reframe } = await import('../columnar/reframe.ts')
  const parts = await narrowAll(batch, encoding, groups, reframe)
  for (const part of parts) encodings.set(part, encoding)
  return parts
}

async function* noValueSets(ref: string): AsyncGenerator<readonly string[]> {
  yield Promise.reject(new DeliveryError(`a stream has no store to take the value set ${ref} from`))
}

/**
 * Writes message batches to a session, `limits.inFlight` at a time, with the engine's retries. It takes a batch only while
 * there is room, and ends when every row is acknowledged and, where the sink commits, committed. A row refused for good fails it.
 * The session stays open.
 */
export function sinkWritable(unit: Unit, session: SinkSession): Writable {
  const inFlight = session.limits?.inFlight ?? 4
  const ended = new AbortController()
  const writing = new Set<Promise<void>>()
  let finished = false

  async function deliver(batch: MessageBatch): Promise<void> {
    const { refused } = await writeBatch(session, batch, {
      encoding: encodingOf(session),
      ...unit.limits,
      signal: ended.signal,
    })
    if (refused.size === 0) return
    const [cause] = refused.values()
    const reason = messageOf(cause)
    throw new DeliveryError(`${refused.size} rows were refused for good: ${reason}`, { retryable: false, cause })
  }

  return new Writable({
    objectMode: true,
    highWaterMark: 1,
    construct(done) {
      Promise.resolve(session.begin?.(unit)).then(() => done(), done)
    },
    write(batch: MessageBatch, _encoding, done) {
      const write = deliver(batch).finally(() => writing.delete(write))
      writing.add(write)
      write.catch(error => this.destroy(error))
      if (writing.size < inFlight) done()
      else Promise.race(writing).then(() => done(), done)
    },
    final(done) {
      Promise.all(writing)
        .then(() => session.commit?.(unit, []))
        .then(() => {
          finished = true
          done()
        }, done)
    },
    destroy(error, done) {
      ended.abort(error ?? new DeliveryError('the stream was destroyed'))
      Promise.allSettled(writing)
        .then(() => (finished ? undefined : session.abort?.(unit)))
        .then(() => done(error), done)
    },
  })
}
