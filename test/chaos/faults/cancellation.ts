import { type Fault, NOTHING_MISSING, PAUSE_MS } from './fault.ts'

/** The job is cancelled, and the engine may be killed before it has done that. */
export const cancellation: Fault = {
  kind: 'job cancelled',
  missing: NOTHING_MISSING,
  async strike(round) {
    const engine = round.running()
    await round.instant(engine)
    engine.send('cancel')
    await round.pause(engine, PAUSE_MS / 8)
    if (round.random.chance(0.5)) await round.kill(engine)
  },
}
