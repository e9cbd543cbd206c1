import type { Window } from './table.ts'

/** What an engine of its own process is to do. Plain data: it crosses the command line. */
export interface EngineSettings {
  readonly database: string
  readonly stagingDir: string
  readonly store: string
  readonly window: Window
  readonly kafka: {
    readonly brokers: readonly string[]
    readonly topic: string
    readonly keyed: boolean
    readonly compression: 'none' | 'gzip' | 'zstd'
    /** No limit where it is missing. */
    readonly rowsPerSecond?: number
  }
  /** Where the file sink writes; and where a redelivery of the same rows goes. */
  readonly files: string
  readonly again: string
  readonly keepCompletedMs: number
  readonly rowGroupRows: number
  readonly stagedFileBytes: number
  readonly maxUnsettledRows: number
  readonly unitsInFlight: number
  readonly checkpointMs: number
  readonly leaseMs: number
}

/** A line of an engine process. */
export type Said =
  | { readonly event: 'ready' }
  | { readonly event: 'claimed'; readonly epoch: number }
  /** Another owner has the job. */
  | { readonly event: 'lost'; readonly epoch: number }
  | { readonly event: 'released'; readonly epoch: number }
  /** The first unit of its job, in this process. */
  | { readonly event: 'delivering' }
  /** The same for the topic, which takes longer to open. */
  | { readonly event: 'sending' }
  | {
      readonly event: 'final'
      readonly status: 'completed' | 'failed' | 'cancelled'
      readonly error: string | null
      /** Rows that the store says were delivered, by the destination's name. */
      readonly delivered: Readonly<Record<string, number>>
    }
  | { readonly event: 'warning'; readonly message: string }
  /** Then it ends. */
  | { readonly event: 'error'; readonly code: string; readonly message: string }

/** A line to an engine process. The end of its input ends it, too. */
export type Command = 'cancel' | 'retry' | 'redeliver' | 'close'
