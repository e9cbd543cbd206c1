/** Another process that uses a store: `node child.ts <command> <path>`. Speaks JSON lines. */
import { setTimeout as delay } from 'node:timers/promises'
import { isMillraceError } from '../../../src/core/errors.ts'
import { sqliteStore } from '../../../src/stores/sqlite.ts'
import {
  checkpointAt,
  HOOK,
  KAFKA,
  letterAt,
  type OwnedJob,
  startReporter,
  testJob,
} from '../../../src/testing/store-driver.ts'

const [command, path] = process.argv.slice(2) as [keyof typeof COMMANDS, string]
const store = sqliteStore({ path })

const COMMANDS = {
  /** Answers how opening failed. */
  async open() {
    await store.create(testJob()).catch(error => {
      say({ code: isMillraceError(error) ? error.code : 'none', message: error.message })
    })
  },

  /** Does not close: the process must end all the same. */
  async idle() {
    await store.create(testJob())
    say('created')
  },

  /** Does not wait for its last call: that alone must keep the process alive, now that the thread has started. */
  async busy() {
    await store.unfinished()
    void store.create(testJob()).then(() => say('created'))
  },

  /** Claims all that it can get of those that nobody owned when it looked. */
  async claim() {
    const unowned = (await store.unfinished()).filter(({ beat }) => beat === 0)
    for (const seen of unowned) if (await store.claim(seen)) say(seen.jobId)
    await store.close()
  },

  /** Takes over the one job there is and reports as fast as it can, until it is killed. Says what was acknowledged. */
  async storm() {
    const [seen] = await store.unfinished()
    const owned = { jobId: seen!.jobId, lease: (await store.claim(seen!))! }
    await Promise.all([KAFKA, HOOK].flatMap(to => [0, 1, 2, 3].map(number => reportOn(owned, to, number))))
  },
}

export interface Acknowledged {
  readonly uid: string
  readonly chunk: number
  readonly row: number
}

async function reportOn(owned: OwnedJob, to: typeof KAFKA, number: number): Promise<void> {
  const reporter = await startReporter(store, owned, to, number)
  for (let step = 1; ; step++) {
    const [chunk, row] = [number + 4 * (step % 50), step * 10 + 1_000 * owned.lease.epoch]
    const first = `${number}-${row}`
    await reporter.report(
      {
        checkpoints: [checkpointAt(chunk, row, step % 5 === 0)],
        deadLetters: [letterAt(chunk, row)],
        proof: [{ first, last: first }],
      },
      1_000_000,
    )
    say({ uid: to.uid, chunk, row } satisfies Acknowledged)
    await delay(0)
  }
}

function say(line: unknown): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

await COMMANDS[command]()
