/** A short attack in every run of the tests; `npm run chaos` makes a long one. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { kafkaJars } from '../servers/kafka-apache.ts'
import type { Verdict } from './campaign.ts'

const KILLS = 20
/** The same in every run, so that what turns red is the fault of a change rather than of a rare draw. */
const SEED = 1

const missing = (await kafkaJars()) === undefined ? 'install Java 17 and Maven' : undefined
if (missing !== undefined && process.env['MILLRACE_REQUIRE_SERVERS'] === '1')
  throw new Error(`no Kafka broker to kill, and MILLRACE_REQUIRE_SERVERS=1: ${missing}`)

describe.skipIf(missing !== undefined)(
  `engines killed at random instants${missing ? ` (needs a broker: ${missing})` : ''}`,
  () => {
    test('lose no row, change none, and send no more twice than they may', { timeout: 600_000 }, async () => {
      const { code, stdout, stderr } = await runChaos('--kills', String(KILLS), '--seed', String(SEED))

      expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringContaining('to see it again') })
      const verdict = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as Verdict
      expect(verdict.kills).toBeGreaterThanOrEqual(KILLS)
      expect(verdict.staged).toBeGreaterThan(0)
      expect(verdict).toMatchObject({ delivered: verdict.staged, lost: 0, wrong: 0, unstaged: 0, seed: SEED })
      expect(verdict.duplicated).toBeLessThanOrEqual(verdict.window)
      console.log(`short chaos: ${JSON.stringify(verdict)}`)
    })
  },
)

async function runChaos(...args: string[]) {
  const chaos = spawn(process.execPath, [fileURLToPath(new URL('./main.ts', import.meta.url)), ...args])
  onTestFinished(() => void chaos.kill())
  let [stdout, stderr] = ['', '']
  chaos.stdout.on('data', data => {
    stdout += data
  })
  chaos.stderr.on('data', data => {
    stderr += data
  })
  const code = await new Promise<number | null>(resolve => chaos.on('close', resolve))
  return { code, stdout, stderr }
}
