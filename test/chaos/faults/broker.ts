import { type Fault, NOTHING_MISSING, PAUSE_MS } from './fault.ts'

/** The broker is killed, and comes back a while later with what is in its log. The engine may be killed meanwhile. */
export const broker: Fault = {
  kind: 'broker killed',
  missing: NOTHING_MISSING,
  async strike(round) {
    const engine = round.running()
    await round.instant(engine)
    await round.world.broker.kill()
    if (round.random.chance(0.5)) {
      await round.pause(engine, PAUSE_MS)
      await round.kill(engine)
    }
    const next = round.running()
    await round.pause(next, PAUSE_MS)
    await round.world.broker.start()
  },
}
