import { type Fault, NOTHING_MISSING, PAUSE_MS } from './fault.ts'

/** An engine is stopped past its lease, another takes its job over, and the first wakes up in the middle of what it was doing. */
export const owners: Fault = {
  kind: 'owner stopped',
  missing: NOTHING_MISSING,
  async strike(round) {
    const first = round.running()
    await round.instant(first)
    first.stop()
    const second = round.start()
    // stopped in a transaction, the first holds the store's lock, and the other says so instead
    second.mayFail = true
    await round.within(
      Promise.race([second.hear('claimed'), second.hear('warning'), second.halted()]),
      'the second engine to take the job over',
    )
    await round.pause(second, PAUSE_MS)
    const [mine, taken] = [first.epoch, second.epoch]
    first.wake()
    if (mine !== undefined && taken !== undefined && taken > mine)
      await round.within(first.lost(mine), 'the first engine to hear that it has lost the job')
    await round.pause(second, PAUSE_MS)
    const ends = round.random.pick(['first', 'second', 'both', 'neither'] as const)
    if (ends === 'first' || ends === 'both') await round.kill(first)
    if (ends === 'second' || ends === 'both') await round.kill(second)
  },
}
