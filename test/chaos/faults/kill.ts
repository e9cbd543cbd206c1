import { type Fault, NOTHING_MISSING } from './fault.ts'

/** The engine is killed. */
export const kill: Fault = {
  kind: 'kill',
  missing: NOTHING_MISSING,
  async strike(round) {
    const engine = round.running()
    if (round.random.chance(0.1)) await round.pause(engine, 1_000)
    else await round.instant(engine)
    if (!round.hasEnded()) await round.kill(engine)
  },
}
