// Whether memory depends on the number of rows: peak resident memory of a whole backfill, staging included, at two sizes.
//   npm run bench:memory [-- ROWS ROWS]
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const sizes = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [1_000_000, 10_000_000]
const dir = mkdtempSync(join(tmpdir(), 'millrace-memory-'))
process.on('exit', () => rmSync(dir, { recursive: true, force: true }))

interface Run {
  readonly rows: number
  readonly seconds: number
  readonly peakRssMb: number
}

console.log(`Node ${process.version}, ${availableParallelism()} x ${cpus()[0]?.model}`)
const runs = sizes.map(rows => {
  const child = fileURLToPath(new URL('./memory-run.ts', import.meta.url))
  const { stdout, status } = spawnSync(process.execPath, [child, String(rows), dir], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (status !== 0) process.exit(1)
  const run = JSON.parse(stdout) as Run
  if (run.rows !== rows) throw new Error(`delivered ${run.rows} rows of ${rows}`)
  console.log(
    `${rows.toLocaleString('en')} rows: peak RSS ${run.peakRssMb} MB, ${Math.round(rows / run.seconds / 1000)} k rows/s`,
  )
  return run
})
console.log(`ratio of the peaks: ${(runs.at(-1)!.peakRssMb / runs[0]!.peakRssMb).toFixed(2)}`)
