import { access, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { type Fault, NOTHING_MISSING, PAUSE_MS } from './fault.ts'

/** A destination can be delivered to no more, so that the job fails; when that is mended, it is retried. */
export const refusal: Fault = {
  kind: 'job failed and retried',
  missing: NOTHING_MISSING,
  async strike(round) {
    const { files } = round.settings
    const away = `${files}.away`
    const engine = round.running()
    await round.instant(engine)
    await mkdir(files, { recursive: true })
    await rename(files, away)
    // a file in place of the directory: not a lack of permissions, which the superuser does not know
    await writeFile(files, '')
    await round.pause(engine, PAUSE_MS)
    if (round.random.chance(0.3)) await round.kill(engine)
    await rm(files)
    await rename(away, files)
    await access(files)
  },
}
