import { isFinal, type Job } from '../core/job.ts'
import { formatBytes, formatCompact, formatCount, formatDuration } from './format.ts'

/** Rates are means over this long. */
const WINDOW_MS = 10_000

export interface Progress {
  readonly job: Job
  /** Delivered, over all destinations. */
  readonly rows: number
  readonly bytes: number
  readonly rowsPerSecond: number
  readonly bytesPerSecond: number
  /** Share of the chunks that is settled, as a mean over the destinations that have not failed: 0 to 1. */
  readonly fraction: number
  /** Undefined until there is a pace to judge by. */
  readonly etaMs: number | undefined
}

interface Sample {
  readonly atMs: number
  readonly rows: number
  readonly bytes: number
  readonly fraction: number
}

/** Works out the pace of a job from the states that it is shown. What was delivered before the first does not count as pace. */
export class ProgressMeter {
  #start: Sample | undefined
  #recent: Sample[] = []

  /** `atMs`: on a monotonic clock. */
  update(job: Job, atMs: number): Progress {
    const sample = { atMs, ...tally(job) }
    if (job.status === 'staging') this.#recent = []
    else this.#start ??= sample
    this.#recent.push(sample)
    while (this.#recent.length > 2 && this.#recent[1]!.atMs <= atMs - WINDOW_MS) this.#recent.shift()
    const first = this.#recent[0]!
    // over the whole time, not the window: chunks settle at long intervals
    const pace = this.#start ? (sample.fraction - this.#start.fraction) / (atMs - this.#start.atMs) : 0
    return {
      job,
      rows: sample.rows,
      bytes: sample.bytes,
      rowsPerSecond: perSecond(sample.rows - first.rows, atMs - first.atMs),
      bytesPerSecond: perSecond(sample.bytes - first.bytes, atMs - first.atMs),
      fraction: sample.fraction,
      etaMs: pace > 0 ? (1 - sample.fraction) / pace : undefined,
    }
  }
}

function perSecond(gain: number, elapsedMs: number): number {
  return elapsedMs > 0 ? (gain / elapsedMs) * 1_000 : 0
}

function tally({ destinations, num_chunks }: Job): Omit<Sample, 'atMs'> {
  const counted = destinations.filter(({ status }) => status !== 'failed')
  const left = counted.reduce((sum, { chunks_left }) => sum + (chunks_left ?? 0), 0)
  const total = (num_chunks ?? 0) * counted.length
  return {
    rows: destinations.reduce((sum, { delivered }) => sum + delivered, 0),
    bytes: destinations.reduce((sum, { bytes }) => sum + bytes, 0),
    fraction: total === 0 ? 0 : 1 - left / total,
  }
}

/** The status, and what is asked of a job that has not ended. */
export function statusText({ status, cancel_requested, paused }: Job): string {
  if (isFinal(status)) return status
  if (cancel_requested) return `${status}, cancelling`
  return paused ? `${status}, paused` : status
}

/** `transporting: 1.2 M rows, 250 K rows/s, 45 MB/s, 12 of 40 chunks left, about 10 s to go` */
export function progressLine(progress: Progress): string {
  const { job, rows, rowsPerSecond, bytesPerSecond, etaMs } = progress
  const state = statusText(job)
  if (job.num_chunks === null) return state
  const facts = [`${formatCompact(rows)} rows`]
  if (rowsPerSecond > 0) facts.push(`${formatCompact(rowsPerSecond)} rows/s`, `${formatBytes(bytesPerSecond)}/s`)
  facts.push(`${formatCount(job.chunks_left ?? 0)} of ${formatCount(job.num_chunks)} chunks left`)
  if (etaMs !== undefined && job.status === 'transporting' && job.chunks_left !== 0)
    facts.push(`about ${formatDuration(roundUp(etaMs))} to go`)
  return `${state}: ${facts.join(', ')}`
}

/** To whole seconds: an estimate has no tenths. */
function roundUp(ms: number): number {
  return Math.ceil(ms / 1_000) * 1_000
}

/** How a job ended, for people: a line, and one for every destination. */
export function outcomeText(job: Job): string {
  const lines = [`${job.status}${durationOf(job)}${job.error_message ? `: ${job.error_message}` : ''}`]
  for (const { type, name, status, delivered, filtered, dead_lettered, bytes, error_message } of job.destinations) {
    const facts = [`${formatCount(delivered)} rows (${formatBytes(bytes)}) delivered`]
    if (filtered > 0) facts.push(`${formatCount(filtered)} filtered out`)
    if (dead_lettered > 0) facts.push(`${formatCount(dead_lettered)} refused for good`)
    const said = job.error_message?.includes(error_message ?? '') ? '' : `: ${error_message}`
    const error = status === 'failed' ? `, failed${said}` : ''
    lines.push(`  ${type}:${name}: ${facts.join(', ')}${error}`)
  }
  return `${lines.join('\n')}\n`
}

function durationOf(job: Job): string {
  if (job.time_completed === null) return ''
  return ` after ${formatDuration(Math.max(0, Date.parse(job.time_completed) - Date.parse(job.time_created)))}`
}
