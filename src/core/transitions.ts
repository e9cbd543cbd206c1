/** The life of a job: `staging → transporting → completed`, with `failed` and `cancelled` reachable from both. */
import type { JobChange, Lease, Manifest, Store } from '../stores/store.ts'
import { publish } from './diagnostics.ts'
import type { MillraceError } from './errors.ts'
import { isFinal, type JobStatus } from './job.ts'

export interface Transitions {
  readonly status: JobStatus
  /** The window is staged; what the delivery is fixed by is stored in the same write. */
  beginTransport(manifest: Manifest): Promise<void>
  /** Every row of every chunk is settled for every destination. */
  complete(): Promise<void>
  fail(error: MillraceError): Promise<void>
  cancel(): Promise<void>
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
    complete: () => move('completed', {}),
    fail: error => move('failed', { error: { code: error.code, message: error.message } }, error),
    cancel: () => move('cancelled', {}),
  }
}
