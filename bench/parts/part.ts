/** What the parts of the bench are given and what they answer. */
import type { Broker } from '../broker.ts'
import type { Runs, Spread } from '../harness.ts'

export interface Setup {
  /** Rows of the table of transfers. */
  readonly rows: number
  readonly rounds: number
  /** Small sizes, to see that all of it works: the figures mean nothing. */
  readonly quick: boolean
  /** The one broker of the run, started for the first part that asks. */
  broker(): Promise<Broker | { readonly missing: string }>
  say(line: string): void
}

/** The ratios that the project is held to. */
export const RATIOS = [
  'end_to_end_over_preencoded',
  'end_to_end_over_handwritten',
  'end_to_end_over_spark',
  'end_to_end_over_librdkafka',
  'lane_over_duckdb',
  'lanes2_over_lane1',
  'cpu_over_parts',
  'cpu_over_preencoded',
  'checkpoint_cpu_share',
  'webhook_over_ready_bodies',
] as const

export type RatioName = (typeof RATIOS)[number]

export interface PartResult {
  readonly runs: Runs
  readonly ratios?: Readonly<Partial<Record<RatioName, Spread>>>
  /** Other figures, by a name with their unit. */
  readonly figures?: Readonly<Record<string, Spread>>
  readonly peakRssMb?: Readonly<Record<string, number>>
  /** Contestants that could not run, and why. */
  readonly skipped?: Readonly<Record<string, string>>
}

export type Part = (setup: Setup) => Promise<PartResult>
