/** Where units run. The one here runs them in this process; another may run the same units elsewhere. */
import pLimit from 'p-limit'
import { deliverUnit } from './deliver.ts'
import { isMillraceError } from './errors.ts'
import type { Unit } from './unit.ts'
import type { UnitTools } from './unit-tools.ts'

/** The units of one job and destination, in order. */
export interface Delivery {
  readonly units: number
  /** How many may be under way at the same time. */
  readonly unitsInFlight: number
  /** Begins an attempt: numbers it in the store and takes up the checkpoints as they stand. */
  start(index: number): Promise<Unit>
  readonly tools: UnitTools
}

export interface Runner {
  /**
   * Runs all units to their end, or until their reports are answered with a stop. Rejects with the first error of a unit; by
   * then the others are ended. `signal` ends them in a hurry.
   */
  run(delivery: Delivery, signal: AbortSignal): Promise<'done' | 'stopped'>
}

/** A lane that died took along what it had read; the unit starts again from its checkpoints, this often without getting any further. */
const MOST_RESTARTS = 3

export function inProcessRunner(): Runner {
  return {
    async run(delivery, signal) {
      const failed = new AbortController()
      const limit = pLimit(delivery.unitsInFlight)
      const ended = AbortSignal.any([signal, failed.signal])
      let stopped = false
      const runs = Array.from({ length: delivery.units }, (_, index) =>
        limit(async () => {
          if (stopped || ended.aborted) return
          try {
            if ((await runUnit(delivery, index, ended)) === 'stopped') stopped = true
          } catch (error) {
            failed.abort(error)
          }
        }),
      )
      await Promise.all(runs)
      if (failed.signal.aborted) throw failed.signal.reason
      signal.throwIfAborted()
      return stopped ? 'stopped' : 'done'
    },
  }
}

async function runUnit(delivery: Delivery, index: number, signal: AbortSignal): Promise<'done' | 'stopped'> {
  let restarts = 0
  let furthest = 0
  for (;;) {
    const unit = await delivery.start(index)
    const settled = unit.from.reduce((rows, { row }) => rows + row, 0)
    if (settled > furthest) restarts = 0
    furthest = Math.max(furthest, settled)
    try {
      return await deliverUnit(unit, delivery.tools, signal)
    } catch (error) {
      const laneLost = isMillraceError(error) && error.code === 'lane_lost'
      if (!laneLost || restarts++ === MOST_RESTARTS) throw error
    }
  }
}
