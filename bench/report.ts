/** What a run says in the end: a table to read, and `results/latest.json` for programs. */
import { cpuPerMillion, type Runs, rowsPerSecond, type Spread, series, spread } from './harness.ts'
import type { Machine } from './machine.ts'
import { type PartResult, RATIOS, type RatioName } from './parts/part.ts'

export interface Results {
  readonly machine: Machine
  readonly rows: number
  readonly rounds: number
  /** Small sizes, whose figures mean nothing. */
  readonly quick: boolean
  /** Medians; null where the part did not run, or its opponent could not. */
  readonly ratios: Readonly<Record<RatioName, number | null>>
  readonly peak_rss_mb: Readonly<Record<string, number>> | null
  readonly loop_p99_ms: number | null
  readonly filter_probes_per_s: number | null
  readonly cpu_s_per_million_rows: number | null
  /** Minimum, median and maximum of the rounds, of all ratios and all other figures. */
  readonly spreads: Readonly<Record<string, Spread>>
  readonly runs: Readonly<Record<string, ContestantFigures>>
  readonly skipped: Readonly<Record<string, string>>
}

interface ContestantFigures {
  readonly rows: number
  readonly rows_per_s: Spread
  readonly cpu_s_per_million_rows: Spread
  readonly peak_rss_mb: Spread
}

type Circumstances = Pick<Results, 'machine' | 'rows' | 'rounds' | 'quick'>

export function resultsOf(circumstances: Circumstances, parts: readonly PartResult[]): Results {
  const ratios = Object.assign({}, ...parts.map(part => part.ratios)) as NonNullable<PartResult['ratios']>
  const figures = Object.assign({}, ...parts.map(part => part.figures)) as NonNullable<PartResult['figures']>
  const median = (name: string) => figures[name]?.median ?? null
  return {
    ...circumstances,
    ratios: Object.fromEntries(RATIOS.map(name => [name, ratios[name]?.median ?? null])) as Results['ratios'],
    peak_rss_mb: parts.find(part => part.peakRssMb)?.peakRssMb ?? null,
    loop_p99_ms: median('loop_p99_ms'),
    filter_probes_per_s: median('filter_probes_per_s'),
    cpu_s_per_million_rows: median('cpu_s_per_million_rows'),
    spreads: { ...ratios, ...figures },
    runs: Object.assign({}, ...parts.map(part => contestantsOf(part.runs))),
    skipped: Object.assign({}, ...parts.map(part => part.skipped)),
  }
}

function contestantsOf(runs: Runs): Record<string, ContestantFigures> {
  const entries = [...runs].map(([name, [first]]) => {
    const figure = (of: Parameters<typeof series>[2]) => spread(series(runs, name, of))
    return [
      name,
      {
        rows: first!.rows,
        rows_per_s: figure(rowsPerSecond),
        cpu_s_per_million_rows: figure(cpuPerMillion),
        peak_rss_mb: figure(run => run.peakRssMb),
      },
    ] as const
  })
  return Object.fromEntries(entries)
}

/** For a terminal: who ran, what came of it, who could not. */
export function tableOf({ machine, rows, rounds, quick, ...results }: Results): string {
  const { date, cores, processor, memory_gb, node, commit, packages } = machine
  const versions = Object.entries(packages).map(([name, version]) => `${name} ${version}`)
  const contestants = Object.entries(results.runs).map(([name, run]) => [
    name,
    thousands(run.rows),
    range(run.rows_per_s, value => thousands(value)),
    range(run.cpu_s_per_million_rows, value => value.toFixed(2)),
    Math.round(run.peak_rss_mb.maximum).toString(),
  ])
  const figures = Object.entries(results.spreads).map(([name, values]) => [name, range(values, short)])
  const peaks = Object.entries(results.peak_rss_mb ?? {}).map(([size, peak]) => [
    `peak_rss_mb, ${thousands(Number(size))} rows`,
    `${peak}`,
  ])
  return [
    `${date}, commit ${commit ?? 'unknown'}, ${cores} x ${processor}, ${memory_gb} GB, Node ${node}`,
    versions.join(', '),
    `${thousands(rows)} transfers, ${rounds} rounds, median (minimum to maximum)${quick ? '; QUICK: the figures mean nothing' : ''}`,
    '',
    ...columns([['', 'rows', 'rows/s', 'CPU s per million rows', 'peak MB'], ...contestants]),
    '',
    ...columns([...figures, ...peaks]),
    ...Object.entries(results.skipped).map(([name, reason]) => `skipped: ${name}: ${reason}`),
  ].join('\n')
}

function range({ minimum, median, maximum }: Spread, format: (value: number) => string): string {
  return `${format(median)} (${format(minimum)} to ${format(maximum)})`
}

function short(value: number): string {
  return value >= 1_000 ? thousands(value) : value.toPrecision(3)
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString('en')
}

function columns(lines: readonly (readonly string[])[]): readonly string[] {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map(line => line[column]!.length)))
  return lines.map(line =>
    line
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
}
