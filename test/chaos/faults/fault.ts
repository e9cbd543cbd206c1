import type { Round } from '../round.ts'
import type { World } from '../world.ts'

/** Something that goes wrong. */
export interface Fault {
  readonly kind: string
  /** What this machine lacks for it; undefined where it can be had. */
  missing(world: World): Promise<string | undefined>
  /** Before the job is created, where that is needed. */
  prepare?(round: Round): Promise<void>
  /**
   * Strikes at random instants of a job's life, and is over when it resolves. The engine at work may have been killed by then, or go
   * on. Throws if the engine did not do what it has to.
   */
  strike(round: Round): Promise<void>
}

export const NOTHING_MISSING = async (): Promise<undefined> => undefined

/** What lasts does so up to this long. */
export const PAUSE_MS = 1_500
