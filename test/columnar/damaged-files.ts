/** Damaged files, read in a thread of their own: a trap leaves the decoder of a thread unusable. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { PlannedChunk } from '../../src/columnar/read-plan.ts'
import type { Outcome } from './damaged-file-worker.ts'

export class DamagedFiles {
  readonly #format: PlannedChunk['format']
  #worker: Worker | undefined

  constructor(format: PlannedChunk['format']) {
    this.#format = format
  }

  async read(bytes: Uint8Array): Promise<Outcome> {
    return (await this.readTogether([bytes]))[0]!
  }

  /** All of them at the same time, in one thread. Fails where it takes too long. */
  async readTogether(files: readonly Uint8Array[]): Promise<readonly Outcome[]> {
    this.#worker ??= new Worker(new URL('./damaged-file-worker.ts', import.meta.url), { workerData: this.#format })
    this.#worker.postMessage(files)
    const [outcomes]: readonly Outcome[][] = await once(this.#worker, 'message', {
      signal: AbortSignal.timeout(10_000),
    })
    if (outcomes!.some(({ trap }) => trap)) await this.close()
    return outcomes!
  }

  async close(): Promise<void> {
    await this.#worker?.terminate()
    this.#worker = undefined
  }
}

/** Whole numbers below a limit, the same for the same seed. Source: the linear congruential generator of ISO C's sample `rand`. */
export function randomNumbers(seed: number): (below: number) => number {
  let state = Math.imul(seed + 1, 2654435761) >>> 0
  return below => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

export function flipBits(
  bytes: Uint8Array,
  random: (below: number) => number,
  start: number,
  end: number,
  bits: number,
): Uint8Array {
  for (let bit = 0; bit < bits; bit++) bytes[start + random(end - start)]! ^= 1 << random(8)
  return bytes
}
