import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Fault, PAUSE_MS } from './fault.ts'

/** The wall clock steps back under a running engine, whose monotonic clock goes on. */
export const clock: Fault = {
  kind: 'clock stepped back',

  async missing() {
    return (await library()) === undefined ? "Debian's libfaketime" : undefined
  },

  async strike(round) {
    await round.killAll()
    const file = join(round.dir, 'clock')
    await writeFile(file, '+0s')
    const engine = round.start({
      LD_PRELOAD: (await library())!,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    })
    // what the library leaves behind where its process is killed
    for (const name of [`faketime_shm_${engine.pid}`, `sem.faketime_sem_${engine.pid}`])
      round.onEnd(() => rm(join('/dev/shm', name), { force: true }))
    await round.instant(engine)
    await writeFile(file, `-${round.random.between(1, 200_000)}s`)
    await round.pause(engine, PAUSE_MS)
    if (round.random.chance(0.3)) await round.kill(engine)
  },
}

async function library(): Promise<string | undefined> {
  for (const name of await readdir('/usr/lib').catch(() => [] as string[])) {
    const folder = join('/usr/lib', name, 'faketime')
    const files: readonly string[] = await readdir(folder).catch(() => [])
    if (files.includes('libfaketime.so.1')) return join(folder, 'libfaketime.so.1')
  }
  return undefined
}
