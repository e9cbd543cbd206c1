import type { Toxic } from '../../servers/toxiproxy.ts'
import type { Random } from '../random.ts'
import { type Fault, PAUSE_MS } from './fault.ts'

/** The way to the broker is spoilt for a while: cut, slow, narrow, chopped up, or silent in one direction. */
export const connections: Fault = {
  kind: 'connections spoilt',
  missing: async ({ proxy }) =>
    proxy === undefined ? 'Toxiproxy, for which there must be Go and a way to its module proxy' : undefined,
  async strike(round) {
    const proxy = round.world.proxy!
    const engine = round.running()
    await round.instant(engine)
    try {
      if (round.random.chance(0.2)) await proxy.setUp(false)
      else await proxy.add(drawToxic(round.random))
      await round.pause(engine, PAUSE_MS)
      if (round.random.chance(0.3)) await round.kill(engine)
    } finally {
      await proxy.heal()
    }
  },
}

function drawToxic(random: Random): Toxic {
  const stream = random.pick(['upstream', 'downstream'] as const)
  const toxics: readonly Omit<Toxic, 'stream'>[] = [
    { type: 'latency', attributes: { latency: random.between(20, 500), jitter: random.between(0, 200) } },
    { type: 'bandwidth', attributes: { rate: random.between(50, 2_000) } }, // KB/s
    { type: 'slicer', attributes: { average_size: 100, size_variation: 50, delay: 10 } }, // microseconds
    // half-open: nothing more comes through, and nobody is told
    { type: 'timeout', attributes: { timeout: 0 } },
    { type: 'timeout', attributes: { timeout: 0 } },
    { type: 'reset_peer', attributes: { timeout: random.between(0, 200) } },
  ]
  return { ...random.pick(toxics), stream }
}
