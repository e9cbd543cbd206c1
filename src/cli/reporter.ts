import { Presets, SingleBar } from 'cli-progress'
import type { Job } from '../core/job.ts'
import { outcomeText, type Progress, ProgressMeter, progressLine } from './progress.ts'

/** Where a command writes. Results go to `stdout`, everything else to `stderr`. */
export interface Output {
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean }
}

/** Shows how a job comes along. */
export interface Reporter {
  update(job: Job): void
  /** Says something beside the progress. */
  note(text: string): void
  /** Called once, with the final state if the job has reached it. */
  end(job: Job | undefined): void
}

export function createReporter(output: Output, json: boolean): Reporter {
  if (json) return jsonReporter(output)
  return output.stderr.isTTY ? barReporter(output) : lineReporter(output)
}

/** Standard output is the rows', where they go there. */
function resultsOf({ destinations }: Job, { stdout, stderr }: Output): NodeJS.WritableStream {
  return destinations.some(({ type }) => type === 'stdout') ? stderr : stdout
}

/** The job as a line of JSON whenever it has changed, and nothing else on stdout. */
function jsonReporter(output: Output): Reporter {
  let last = ''
  return {
    update(job) {
      const line = JSON.stringify(job)
      if (line !== last) resultsOf(job, output).write(`${line}\n`)
      last = line
    },
    note: text => void output.stderr.write(`${text}\n`),
    end() {},
  }
}

/** For logs: a line when something changed, at most one a second; a new status is told at once. */
export function lineReporter(output: Output, now = () => performance.now()): Reporter {
  const { stderr } = output
  const meter = new ProgressMeter()
  let last = { line: '', status: '', atMs: Number.NEGATIVE_INFINITY }
  return {
    update(job) {
      const atMs = now()
      const line = progressLine(meter.update(job, atMs))
      if (line === last.line || (job.status === last.status && atMs - last.atMs < 1_000)) return
      stderr.write(`${line}\n`)
      last = { line, status: job.status, atMs }
    },
    note: text => void stderr.write(`${text}\n`),
    end: job => void (job && resultsOf(job, output).write(outcomeText(job))),
  }
}

/** The bar counts in thousandths, since chunks are too few and too different. */
const BAR_TOTAL = 1_000

function barReporter(output: Output): Reporter {
  const { stderr } = output
  const meter = new ProgressMeter()
  const bar = new SingleBar(
    { stream: stderr, format: '[{bar}] {percentage}% {line}', barsize: 24, linewrap: false },
    Presets.legacy,
  )
  bar.start(BAR_TOTAL, 0, { line: '' })
  const draw = ({ fraction }: Progress, line: string) => bar.update(Math.floor(fraction * BAR_TOTAL), { line })
  return {
    update(job) {
      const progress = meter.update(job, performance.now())
      draw(progress, progressLine(progress))
    },
    // over the bar, which draws itself again below; it goes back at its end to where the cursor is saved, so save it anew
    note: text => void stderr.write(`\r\u001b[K${text}\n\u001b7`),
    end(job) {
      bar.stop()
      if (job) resultsOf(job, output).write(outcomeText(job))
    },
  }
}
