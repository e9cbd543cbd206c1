/** Dead letters on their way once more: read from the store, framed as a first delivery would frame them, written, and settled in the store. */
import { createHash } from 'node:crypto'
import type { TableSchema } from '../columnar/column-type.ts'
import type { FilledBatch, ReadPlan } from '../columnar/read-plan.ts'
import type { SinkSession } from '../sinks/sink.ts'
import type { DestinationRecord, Redriven, RedrivenRow } from '../stores/store.ts'
import { refuseUnsent, type Written, writeBatch } from './attempts.ts'
import { nameOf } from './destination-name.ts'
import { closeWithin, commonOf, openSession } from './destination-run.ts'
import { publish } from './diagnostics.ts'
import { Ending } from './ending.ts'
import { messageOf } from './errors.ts'
import { openPatiently } from './opening.ts'
import { placesIn, toMessage } from './outgoing.ts'
import type { OwnedJob } from './owned-job.ts'
import { Pacer } from './pace.ts'
import { planReading, planWriting } from './plan.ts'
import type { DeadLetter, Unit } from './unit.ts'
import { answerOf } from './unit-calls.ts'
import { WriteQueue } from './write-queue.ts'

export interface RedriveResult {
  /** Rows that the destination took. */
  readonly redriven: number
  /** Rows that it refused once more; they stay dead letters, with the new cause. */
  readonly refused: number
}

/** Most payload characters that are on their way at a time. */
const PAGE_CHARS = 4 << 20

/**
 * Sends the dead letters of a destination in order of chunk and row. A page of them at a time is framed and written, and what the
 * destination answered is stored before the next; so a crash sends at most a page twice, in the same batches under the same names.
 * Rejects when the destination cannot be had or `signal` aborts: what was taken by then is stored.
 */
export async function redriveLetters(
  job: OwnedJob,
  destination: DestinationRecord,
  signal: AbortSignal,
): Promise<RedriveResult> {
  const { store } = job.surroundings
  const { jobId } = job.record
  const total = { redriven: 0, refused: 0 }
  const manifest = await store.manifest(jobId)
  if (!manifest || (await isEmpty(store.deadLetters(jobId, destination.uid)))) return total
  const { settings } = job.surroundings
  const { delivery } = settings.destinations.get(nameOf(destination))!
  const { schema } = manifest
  const session = await openPatiently(() => openSession(job, destination, { schema, probe: false, signal }), {
    destination,
    deadlineMs: delivery.deliveryDeadlineMs,
    signal,
  })
  const pacer = new Pacer(job.record.wishes.pace?.[destination.uid] ?? delivery.pace)
  try {
    for await (const letters of pagesOf(store.deadLetters(jobId, destination.uid), session.limits?.batchRows)) {
      signal.throwIfAborted()
      const { redriven, refused } = await new Page({ job, destination, schema, session, pacer }, letters).send(signal)
      total.redriven += redriven
      total.refused += refused
    }
    return total
  } finally {
    await closeWithin(session)
  }
}

async function isEmpty(letters: AsyncIterable<DeadLetter>): Promise<boolean> {
  for await (const _ of letters) return false
  return true
}

/** As many rows as a batch may have, so that paging cuts none shorter than the sink asks, unless they are large. */
async function* pagesOf(letters: AsyncIterable<DeadLetter>, mostRows = 10_000): AsyncGenerator<readonly DeadLetter[]> {
  let page: DeadLetter[] = []
  let chars = 0
  for await (const letter of letters) {
    page.push(letter)
    chars += letter.payload.length
    if (page.length < mostRows && chars < PAGE_CHARS) continue
    yield page
    page = []
    chars = 0
  }
  if (page.length > 0) yield page
}

interface Redrive {
  readonly job: OwnedJob
  readonly destination: DestinationRecord
  readonly schema: TableSchema
  readonly session: SinkSession
  /** Of the whole redrive. */
  readonly pacer: Pacer
}

class Page {
  readonly #job: OwnedJob
  readonly #session: SinkSession
  readonly #pacer: Pacer
  readonly #letters: readonly DeadLetter[]
  readonly #unit: Unit
  readonly #plan: ReadPlan
  #total = { redriven: 0, refused: 0 }
  /** Where the sink commits: what was written and does not count before that. */
  readonly #uncommitted: Redriven[] = []

  constructor({ job, destination, schema, session, pacer }: Redrive, letters: readonly DeadLetter[]) {
    this.#job = job
    this.#session = session
    this.#pacer = pacer
    this.#letters = letters
    this.#unit = unitOf(job, destination, schema, letters)
    this.#plan = planReading(this.#unit, session, [])
  }

  async send(signal: AbortSignal): Promise<RedriveResult> {
    const { lanes } = this.#job.surroundings
    const batches = await lanes.frameRows(this.#plan, this.#letters)
    const ending = new Ending(signal)
    let finished = false
    try {
      ending.signal.throwIfAborted()
      await answerOf('begin', this.#session.begin?.(this.#unit), this.#unit, ending)
      await this.#writeAll(batches, ending)
      if (this.#session.commit) await this.#commit(ending)
      finished = true
      return this.#total
    } finally {
      if (!finished) await this.#abort(ending)
      ending.clear()
    }
  }

  /** As many at a time as in a first delivery, and those of a partition in order. Rejects with the first error, once none is under way. */
  async #writeAll(batches: readonly FilledBatch[], ending: Ending): Promise<void> {
    const idle = Promise.withResolvers<void>()
    const queue = new WriteQueue<FilledBatch>(
      planWriting(this.#unit, this.#session),
      async batch => {
        try {
          await this.#settle(batch, await this.#write(batch, ending.signal))
        } catch (error) {
          ending.abort(error)
        }
      },
      () => {
        if (queue.idle) idle.resolve()
      },
      ({ refusal, rows, bytes }) => refusal !== undefined || gate.take(rows, bytes.length),
    )
    const gate = this.#pacer.gate(() => queue.proceed())
    const onAbort = (): void => {
      queue.stop()
      gate.close()
      if (queue.idle) idle.resolve()
    }
    ending.signal.throwIfAborted()
    ending.signal.addEventListener('abort', onAbort)
    try {
      for (const batch of batches) queue.push(batch)
      await idle.promise
      ending.signal.throwIfAborted()
    } finally {
      gate.close()
    }
  }

  async #write(filled: FilledBatch, signal: AbortSignal): Promise<Written> {
    if (filled.refusal !== undefined) return refuseUnsent(filled.rows, filled.refusal)
    const { encoding } = this.#plan
    return writeBatch(this.#session, toMessage(this.#unit, filled), { ...this.#unit.limits, encoding, signal })
  }

  async #settle(filled: FilledBatch, written: Written): Promise<void> {
    const outcome = this.#outcomeOf(filled, written)
    const { rows, bytes } = filled
    publish('write', { unit: this.#unit.id, rows, bytes: bytes.length, refused: outcome.refused.length })
    if (this.#session.commit) this.#uncommitted.push(outcome)
    else await this.#store(outcome)
  }

  #outcomeOf(filled: FilledBatch, { refused, proof }: Written): Redriven {
    const placeOf = placesIn(filled)
    const time = new Date().toISOString()
    const outcome = { delivered: [] as RedrivenRow[], refused: [] as Redriven['refused'][number][], proof }
    for (let position = 0; position < filled.rows; position++) {
      const place = placeOf(position)
      const { bytes, checksum } = filled.pieces[position]! // each row is a piece of its own (`frameRows`)
      if (refused.has(position)) outcome.refused.push({ ...place, cause: messageOf(refused.get(position)), time })
      else outcome.delivered.push({ ...place, bytes, checksum })
    }
    return outcome
  }

  /** Rows count as delivered only now. */
  async #commit(ending: Ending): Promise<void> {
    const proof = (await answerOf('commit', this.#session.commit!(this.#unit, []), this.#unit, ending)) ?? []
    const all = this.#uncommitted
    await this.#store({
      delivered: all.flatMap(({ delivered }) => delivered),
      refused: all.flatMap(({ refused }) => refused),
      proof: [...all.flatMap(each => each.proof), ...proof],
    })
  }

  async #store(outcome: Redriven): Promise<void> {
    const { record, surroundings } = this.#job
    await surroundings.store.redriven(record.jobId, this.#unit.destination.uid, outcome)
    this.#total.redriven += outcome.delivered.length
    this.#total.refused += outcome.refused.length
  }

  /** What fails here does not hide the error before it. */
  async #abort(ending: Ending): Promise<void> {
    try {
      await ending.wait(this.#session.abort?.(this.#unit))
    } catch (error) {
      publish('warning', { message: `unit ${this.#unit.id} did not end cleanly`, error })
    }
  }
}

/**
 * Named by its rows: what a crash repeats has the same name, and takes the place of what a sink may have kept under it; what is sent
 * later has another.
 */
function unitOf(job: OwnedJob, to: DestinationRecord, schema: TableSchema, letters: readonly DeadLetter[]): Unit {
  const { destinations, rowGroupBudgetBytes } = job.surroundings.settings
  const rows = createHash('sha256').update(letters.map(keyOf).join()).digest('hex').slice(0, 16)
  return {
    ...commonOf(job, to, schema),
    id: `${job.record.jobId}/${to.uid}/${to.delivery}/redrive-${rows}`,
    attempt: 1,
    chunks: [],
    from: [],
    spanRows: 1,
    limits: { ...destinations.get(nameOf(to))!.delivery, rowGroupBudgetBytes },
  }
}

function keyOf({ chunk, row }: Pick<DeadLetter, 'chunk' | 'row'>): string {
  return `${chunk}.${row}`
}
