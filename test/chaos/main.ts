/**
 * `node test/chaos/main.ts [--kills N] [--seed S]`: kills engines at work until there were N kills, and ends with one line of JSON.
 * Exits with 1 if a row was lost, changed, never staged, or sent twice more often than allowed, or an engine did what it must not.
 */
import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'
import { hasCommand } from '../servers/process.ts'
import { attack } from './campaign.ts'

const KILLS = 500
/** In a mount namespace of its own, so that file systems can be mounted that nobody else sees and that go with the process. */
const ALONE = 'MILLRACE_CHAOS_ALONE'

const { values } = parseArgs({ options: { kills: { type: 'string' }, seed: { type: 'string' } } })

if (process.env[ALONE] === undefined && (await hasCommand('unshare', '-m', 'true'))) {
  const args = ['-m', process.execPath, ...process.argv.slice(1)]
  const alone = spawn('unshare', args, { stdio: 'inherit', env: { ...process.env, [ALONE]: '1' } })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => alone.kill(signal))
  alone.on('exit', code => process.exit(code ?? 1))
} else {
  await main()
}

async function main(): Promise<void> {
  const kills = Number(values.kills ?? KILLS)
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1e6))
  const over = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => over.abort())
  const outcome = await attack({ kills, seed, tell: line => console.error(line), signal: over.signal })
  if (outcome === undefined) {
    console.error('there is no broker to deliver to: install Java 17 and Maven')
    process.exit(2)
  }
  const { verdict, failure } = outcome
  if (failure) {
    for (const problem of failure.problems) console.error(problem)
    console.error(`to see it again: npm run chaos -- --kills 1 --seed ${failure.seed}`)
  }
  console.log(JSON.stringify(verdict))
  process.exit(failure ? 1 : 0)
}
