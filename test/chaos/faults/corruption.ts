import { randomBytes } from 'node:crypto'
import { copyFile, open, rm, stat, truncate } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { type Fault, NOTHING_MISSING } from './fault.ts'

/** The store's file is damaged while no engine runs; the next one has to say so and do nothing. Then it is restored. */
export const corruption: Fault = {
  kind: 'store damaged',
  missing: NOTHING_MISSING,
  async strike(round) {
    const engine = round.running()
    await round.instant(engine)
    await round.killAll()
    const { store } = round.settings
    const there = await stat(store).catch(() => undefined)
    if (there === undefined || there.size === 0) return
    await closeLog(store)
    await copyFile(store, `${store}.saved`)
    await damage(store, round.random.pick(['header', 'pages', 'end'] as const))
    const misled = round.start()
    misled.mayFail = true
    const error = await round.within(misled.hear('error'), 'the engine to say that its store is damaged')
    await round.within(misled.exit, 'the engine to end')
    if (error?.code !== 'store_failed' || !/damaged/.test(error.message) || misled.said.some(isWork))
      throw new Error(`the engine did not say that its store is damaged, and stop: ${round.story()}`)
    for (const ending of ['-wal', '-shm']) await rm(store + ending, { force: true })
    await copyFile(`${store}.saved`, store)
  },
}

function isWork({ event }: { readonly event: string }): boolean {
  return event === 'claimed' || event === 'final'
}

/** Everything into the one file. */
async function closeLog(path: string): Promise<void> {
  const db = new DatabaseSync(path)
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  db.close()
}

/** Such as SQLite can notice: it has no checksums, and a digit that became another would be one of the values. */
async function damage(path: string, part: 'header' | 'pages' | 'end'): Promise<void> {
  const PAGE = 4_096
  const { size } = await stat(path)
  if (part === 'end') return truncate(path, PAGE)
  const file = await open(path, 'r+')
  const [from, to] = part === 'header' ? [0, 100] : [PAGE, size]
  await file.write(randomBytes(to - from), 0, to - from, from)
  await file.close()
}
