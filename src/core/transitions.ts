/**
 * The life of a job under one owner: `staging → transporting → completed`, with `failed` and `cancelled` reachable from both.
 * `staged`: what becomes of the staged files. Only `Store.reopen` leads out of a final status.
 */
import type { JobChange, Lease, Manifest, StagedState, Store } from '../stores/store.ts'
import { publish } from './diagnostics.ts'
import type { MillraceError } from './errors.ts'
import { isFinal, type JobStatus } from './job.ts'

export interface Transitions {
  readonly status: JobStatus
  /** The window is staged; what the delivery is fixed by is stored in the same write. */
  beginTransport(manifest: Manifest): Promise<void>
  /** Every row of every chunk is settled for every destination. */
  complete(staged: StagedState): Promise<void>
  fail(error: MillraceError, staged: StagedState): Promise<void>
  cancel(staged: StagedState): Promise<void>
}

const NEXT: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  staging: ['transporting', 'failed', 'cancelled'],
  transporting: ['completed', 'failed', 'cancelled'],
  completed: [],
  failed: [],
  cancelled: [],
}

/** For the owner of a job. `onMoved` is called after each. */
export function jobTransitions(store: Store, lease: Lease, initial: JobStatus, onMoved: () => void): Transitions {
  let status = initial
  async function move(to: JobStatus, change: JobChange, error?: MillraceError): Promise<void> {
    if (!NEXT[status].includes(to)) throw new Error(`a job cannot go from ${status} to ${to}`)
    const timeCompleted = isFinal(to) ? { timeCompleted: new Date().toISOString() } : {}
    await store.transition(lease, status, to, { ...change, ...timeCompleted })
    status = to
    publish('job', { job_id: lease.jobId, status: to, ...(error ? { error } : {}) })
    onMoved()
  }
  return {
    get status() {
      return status
    },
    beginTransport: manifest => move('transporting', { manifest }),
    complete: staged => move('completed', { staged }),
    fail: (error, staged) => move('failed', { error: { code: error.code, message: error.message }, staged }, error),
    cancel: staged => move('cancelled', { staged }),
  }
}
