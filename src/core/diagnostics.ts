/**
 * What the engine tells a host that wants to watch it, through `node:diagnostics_channel`: subscribe to
 * `millrace:job`, `millrace:unit`, `millrace:write`, `millrace:circuit`, `millrace:lane` or `millrace:warning`. Free when nobody does.
 * Messages hold ids, counts and errors; never rows, keys or secrets.
 */
import { channel } from 'node:diagnostics_channel'
import type { CircuitEvent } from './circuit.ts'
import type { JobStatus } from './job.ts'

export interface Diagnostics {
  /** A job was stored in a new status. */
  job: { readonly job_id: string; readonly status: JobStatus; readonly error?: unknown }
  unit: {
    readonly unit: string
    readonly attempt: number
    readonly event: 'started' | 'done' | 'stopped' | 'failed'
    readonly error?: unknown
  }
  /** A batch was acknowledged; `refused` rows of it became dead letters. */
  write: { readonly unit: string; readonly rows: number; readonly bytes: number; readonly refused: number }
  /**
   * `opened`: a destination is taken to be down, after several attempts in a row that got nothing through; only now and then one is
   * made from now on, until one succeeds: `closed`.
   */
  circuit: { readonly job_id: string; readonly destination: string } & CircuitEvent
  /**
   * A lane's worker thread started, and encodes with the kernel (`wasm`) or, for the given reason, without; or it died, and is
   * replaced when it is needed.
   */
  lane:
    | {
        readonly lane: number
        readonly event: 'started'
        readonly encoder: 'wasm' | 'javascript'
        readonly reason?: string
      }
    | { readonly lane: number; readonly event: 'lost'; readonly error: unknown }
  /** Something went wrong that fails no job: left-over files, an unreachable store during a heartbeat. */
  warning: { readonly message: string; readonly error: unknown }
}

const channels = {
  job: channel('millrace:job'),
  unit: channel('millrace:unit'),
  write: channel('millrace:write'),
  circuit: channel('millrace:circuit'),
  lane: channel('millrace:lane'),
  warning: channel('millrace:warning'),
}

export function publish<Name extends keyof Diagnostics>(name: Name, message: Diagnostics[Name]): void {
  if (channels[name].hasSubscribers) channels[name].publish(message)
}
