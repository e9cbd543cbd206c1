/** Rounds until there were enough kills, each judged by the checker. */
import { fileURLToPath } from 'node:url'
import { run } from '../servers/process.ts'
import type { Case, Finding } from './checker.ts'
import type { Final } from './engine-process.ts'
import type { Fault } from './faults/fault.ts'
import { FAULTS } from './faults/faults.ts'
import { kill } from './faults/kill.ts'
import { patiently } from './patience.ts'
import { type Random, randomOf } from './random.ts'
import { Round } from './round.ts'
import { makeWorld, type World } from './world.ts'

const CHECKER = fileURLToPath(new URL('./checker.ts', import.meta.url))

export interface Campaign {
  /** At least so many. */
  readonly kills: number
  readonly seed: number
  /** Takes a line for whoever watches. */
  tell(line: string): void
  /** Ends it with the round under way. */
  readonly signal: AbortSignal
}

/** Counts of rows, where nothing else is said. */
export interface Verdict {
  kills: number
  /** How often each struck. */
  readonly faults: Record<string, number>
  jobs: number
  /** Rows to deliver to each destination of the jobs that completed. */
  staged: number
  delivered: number
  lost: number
  wrong: number
  unstaged: number
  duplicated: number
  /** Most that may be there twice. */
  window: number
  readonly seed: number
  seconds: number
}

export interface Outcome {
  readonly verdict: Verdict
  /** What went wrong, in the first round in which something did, and that round's seed. */
  readonly failure: { readonly seed: number; readonly problems: readonly string[] } | undefined
}

/** Stops at the first round that fails. Undefined where there is no broker to be had. */
export async function attack({ kills, seed, tell, signal }: Campaign): Promise<Outcome | undefined> {
  const began = performance.now()
  const world = await makeWorld()
  if (world === undefined) return undefined
  const verdict: Verdict = { ...NOTHING, faults: {}, seed }
  let failure: Outcome['failure']
  try {
    const faults = await possible(world, tell)
    for (let number = 0; verdict.kills < kills && failure === undefined && !signal.aborted; number++) {
      // round n of a seed is round 0 of that seed and n: so a single round can be had again
      const problems = await fight(world, { faults, seed: seed + number, number }, verdict)
      tell(`round ${number} (seed ${seed + number}): ${verdict.kills} kills, ${JSON.stringify(verdict.faults)}`)
      // an interrupt from a terminal goes to the engines as well
      if (problems.length > 0 && !signal.aborted) failure = { seed: seed + number, problems }
    }
  } finally {
    await world.end()
  }
  verdict.seconds = Math.round((performance.now() - began) / 1_000)
  return { verdict, failure }
}

const NOTHING = {
  ...{ kills: 0, faults: {}, jobs: 0, staged: 0, delivered: 0, lost: 0, wrong: 0, unstaged: 0 },
  ...{ duplicated: 0, window: 0, seed: 0, seconds: 0 },
}

async function possible(world: World, tell: Campaign['tell']): Promise<readonly Fault[]> {
  const faults: Fault[] = []
  for (const fault of FAULTS) {
    const missing = await fault.missing(world)
    if (missing === undefined) faults.push(fault)
    else tell(`left out: ${fault.kind}, which needs ${missing}`)
  }
  return faults
}

interface Plan {
  readonly faults: readonly Fault[]
  readonly seed: number
  readonly number: number
}

/** One round. Adds to the verdict, and answers what went wrong. */
async function fight(world: World, { faults, seed, number }: Plan, verdict: Verdict): Promise<readonly string[]> {
  const random = randomOf(seed)
  const round = await Round.begin(world, random, number)
  try {
    const final = await live(round, drawn(faults, seed, random))
    return await judge(round, final, verdict)
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)]
  } finally {
    await round.end()
    verdict.kills += round.kills
    verdict.jobs++
    for (const kind of round.faults) if (kind !== kill.kind) verdict.faults[kind] = (verdict.faults[kind] ?? 0) + 1
  }
}

async function live(round: Round, strikes: readonly Fault[]): Promise<Final> {
  for (const fault of strikes) await fault.prepare?.(round)
  const half = round.redelivers ? strikes.length >> 1 : strikes.length
  await suffer(round, strikes.slice(0, half))
  let final = await round.finish()
  if (round.redelivers && final.status === 'completed') {
    round.redelivering = true
    round.faults.push('redelivery')
    await suffer(round, strikes.slice(half))
    final = await round.finish()
  }
  await round.close(final)
  return final
}

async function suffer(round: Round, strikes: readonly Fault[]): Promise<void> {
  for (const fault of strikes) {
    if (round.hasEnded()) return
    round.faults.push(fault.kind)
    await fault.strike(round)
  }
}

/** Kills, and among them the fault whose turn it is, and maybe others. */
function drawn(faults: readonly Fault[], seed: number, random: Random): readonly Fault[] {
  const strikes = Array.from({ length: random.between(4, 11) }, () =>
    faults.length > 0 && random.chance(0.1) ? random.pick(faults) : kill,
  )
  if (faults.length > 0) strikes.splice(random.between(0, 4), 0, faults[seed % faults.length]!)
  return strikes
}

/** In a process of its own. */
export async function askChecker(what: Case): Promise<readonly Finding[]> {
  const { stdout } = await patiently(() => run(process.execPath, [CHECKER, JSON.stringify(what)]))
  return JSON.parse(stdout) as readonly Finding[]
}

async function judge(
  round: Round,
  { status, delivered: tallies }: Final,
  verdict: Verdict,
): Promise<readonly string[]> {
  const { database, window } = round.settings
  const { destinations } = round
  const findings = await askChecker({ database, window, destinations })
  const completed = status === 'completed'
  return findings.flatMap((finding, index) => {
    const { name, type, window: most } = destinations[index]!
    const lost = completed ? finding.lost : 0
    verdict.staged += completed ? finding.staged : 0
    verdict.delivered += completed ? finding.delivered : 0
    verdict.lost += lost
    verdict.wrong += finding.wrong
    verdict.unstaged += finding.unstaged
    verdict.duplicated += finding.duplicated
    verdict.window += most
    const problems = [
      ...(lost > 0 ? [`${lost} rows were lost`] : []),
      ...(finding.wrong > 0 ? [`${finding.wrong} rows arrived changed`] : []),
      ...(finding.unstaged > 0 ? [`${finding.unstaged} rows were never staged`] : []),
      ...(finding.duplicated > most ? [`${finding.duplicated} rows came twice, and ${most} may`] : []),
      ...(completed && tallies[name] !== finding.staged
        ? [`the job says that ${tallies[name]} rows of ${finding.staged} were delivered`]
        : []),
    ]
    return problems.map(problem => `${type} ${name}: ${problem} (the job ${status})`)
  })
}
