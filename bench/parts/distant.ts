/** Files behind URLs that answer late, against ones that answer at once, and the same files on the disk. The server has a share of the machine. */
import { engineToNull } from '../contestants.ts'
import { stagedTransfers } from '../data.ts'
import { LATENCY_MS, startFileServer } from '../file-server.ts'
import { interleave, quotients, rowsPerSecond, series, spread } from '../harness.ts'
import { repeated } from '../staged-source.ts'
import type { Part } from './part.ts'

const LOCAL = 'null sink, one lane, files on the disk'
const NEAR = 'null sink, one lane, files behind URLs'
const FAR = `null sink, one lane, files behind URLs that answer after ${LATENCY_MS} ms`

export const distantPart: Part = async ({ rows, rounds, quick, say }) => {
  const table = repeated(await stagedTransfers(rows), quick ? 1 : 2)
  const server = await startFileServer(table.directory)
  try {
    const contestants = [
      engineToNull(LOCAL, table, { lanes: 1 }),
      engineToNull(NEAR, table, { lanes: 1, urls: server.near }),
      ...(server.far === undefined ? [] : [engineToNull(FAR, table, { lanes: 1, urls: server.far })]),
    ]
    const runs = await interleave(contestants, rounds, say)
    const over = (above: string, below: string) =>
      spread(quotients(series(runs, above, rowsPerSecond), series(runs, below, rowsPerSecond)))
    const near = { near_over_disk: over(NEAR, LOCAL) }
    if (server.far === undefined) return { runs, figures: near, skipped: { [FAR]: 'needs Go, for Toxiproxy' } }
    return { runs, figures: { ...near, distant_over_near: over(FAR, NEAR), distant_over_disk: over(FAR, LOCAL) } }
  } finally {
    await server.close()
  }
}
