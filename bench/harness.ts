/**
 * Runs contestants in turn, round after round, and compares them.
 *
 * The rules, the same for all: one child process for each contestant and round; in it first a pass that does not count, over the
 * warm-up data, then the pass that does; whoever was first in one round is last in the next. Ratios are taken within a round, where
 * both sides had the same machine, and the median of the rounds is the ratio; a machine whose speed drifts moves both sides.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Measurement } from './child.ts'

export interface Contestant {
  readonly name: string
  /** How many rows each run has to deal with; any other count is an error. */
  readonly rows: number
  run(): Promise<Measurement>
}

/** All runs by contestant, in the order of the rounds. */
export type Runs = ReadonlyMap<string, readonly Measurement[]>

export interface Spread {
  readonly minimum: number
  readonly median: number
  readonly maximum: number
}

/** Throws when a contestant fails or has dealt with another number of rows than it should have. */
export async function interleave(
  contestants: readonly Contestant[],
  rounds: number,
  say: (line: string) => void = () => {},
): Promise<Runs> {
  const runs = new Map<string, Measurement[]>(contestants.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const { name, rows, run } of round % 2 === 0 ? contestants : contestants.toReversed()) {
      const measurement = await run()
      if (measurement.rows !== rows) throw new Error(`${name}: dealt with ${measurement.rows} rows of ${rows}`)
      runs.get(name)!.push(measurement)
      say(`round ${round + 1}/${rounds}  ${name}: ${describe(measurement)}`)
    }
  }
  return runs
}

/** `command` runs a program that prints its `Measurement` as the last line. */
export async function runProgram(command: readonly [string, ...string[]], settings: object): Promise<Measurement> {
  const [program, ...args] = command
  try {
    const { stdout } = await promisify(execFile)(program, [...args, JSON.stringify(settings)], {
      maxBuffer: 1 << 26,
      timeout: LONGEST_RUN_MS,
    })
    return JSON.parse(stdout.trim().split('\n').at(-1)!)
  } catch (error) {
    // not as its cause, which repeats all of the settings and the output
    const { stderr = '', signal } = error as { readonly stderr?: string; readonly signal?: string }
    throw new Error(`${command.join(' ')} failed${signal ? ` by ${signal}` : ''}: ${stderr.slice(-LOG_TAIL) || error}`)
  }
}

export function runNode(program: URL, settings: object): Promise<Measurement> {
  return runProgram([process.execPath, program.pathname], settings)
}

const LONGEST_RUN_MS = 30 * 60_000
const LOG_TAIL = 4_000

export const rowsPerSecond = ({ rows, seconds }: Measurement): number => rows / seconds
export const cpuPerMillion = ({ rows, cpuSeconds }: Measurement): number => (cpuSeconds / rows) * 1e6

/** Each round's `figure` of the contestant. */
export function series(runs: Runs, name: string, figure: (run: Measurement) => number): readonly number[] {
  const found = runs.get(name)
  if (!found) throw new Error(`no contestant is called ${name}`)
  return found.map(figure)
}

/** Of two series of the same rounds, round by round. */
export function quotients(above: readonly number[], below: readonly number[]): readonly number[] {
  if (above.length !== below.length) throw new Error('series of different rounds cannot be compared')
  return above.map((value, round) => value / below[round]!)
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const median = Number.isInteger(middle) ? (sorted[middle - 1]! + sorted[middle]!) / 2 : sorted[Math.floor(middle)]!
  return { minimum: sorted[0]!, median, maximum: sorted.at(-1)! }
}

function describe(run: Measurement): string {
  const [rate, cpu] = [Math.round(rowsPerSecond(run) / 1_000), cpuPerMillion(run).toFixed(2)]
  return `${rate} k rows/s, ${cpu} CPU s per million rows, peak ${run.peakRssMb} MB`
}
