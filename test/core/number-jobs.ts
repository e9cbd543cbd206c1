/** Jobs over all of the table `numbers`, and a sink that remembers them. */
import type { Engine } from '../../src/core/engine.ts'
import type { Job } from '../../src/core/job.ts'
import type { BackfillRequest } from '../../src/core/request.ts'
import type { MessageBatch, Sink } from '../../src/sinks/sink.ts'

export function allNumbers(...destinations: readonly Pick<Sink, 'type' | 'name'>[]): BackfillRequest {
  return {
    table: 'numbers',
    backfill_window: { start: 0, end: 1_000_000 },
    destinations: destinations.map(({ type, name }) => ({ type, name })),
  }
}

/** The job's last state. */
export async function finish(engine: Engine, { job_id }: Pick<Job, 'job_id'>): Promise<Job> {
  let last: Job | undefined
  for await (const job of engine.watch(job_id)) last = job
  return last!
}

/** The job once it is as asked. */
export async function until(
  engine: Engine,
  { job_id }: Pick<Job, 'job_id'>,
  condition: (job: Job) => boolean,
): Promise<Job> {
  for await (const job of engine.watch(job_id)) if (condition(job)) return job
  throw new Error('the job ended otherwise')
}

export interface Recorded {
  readonly sink: Sink
  /** Of the rows that it took. */
  readonly ids: number[]
  /** When writes began. */
  readonly times: number[]
}

/** Remembers what it took, and when, and does first what it is told to. */
export function recordingSink(
  name: string,
  before: (batch: MessageBatch) => Promise<void> = async () => {},
  { inFlight = 1 }: { readonly inFlight?: number } = {},
): Recorded {
  const ids: number[] = []
  const times: number[] = []
  const sink: Sink = {
    type: 'recording',
    name,
    open: async () => ({
      encoding: { kind: 'ndjson' },
      limits: { batchRows: 1_000, inFlight },
      async write(batch) {
        times.push(performance.now())
        await before(batch)
        const lines = Buffer.from(batch.bytes).toString().trimEnd().split('\n')
        ids.push(...lines.map(line => (JSON.parse(line) as { id: number }).id))
      },
      close: async () => {},
    }),
  }
  return { sink, ids, times }
}
