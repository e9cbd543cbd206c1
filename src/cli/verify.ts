import { Command } from 'commander'
import { nameOf } from '../core/destination-name.ts'
import { ERRORS, type Problem, RequestError } from '../core/errors.ts'
import { type Destination, resolveOptions, type Settings } from '../core/options.ts'
import type { Verification } from '../core/verify.ts'
import type { Place } from '../core/verify-findings.ts'
import type { JobRecord } from '../stores/store.ts'
import { findConfig } from './config-file.ts'
import { formatCount, formatTable } from './format.ts'
import { collect } from './run.ts'
import { createSink, readDestination, readTargets } from './setup.ts'
import { configOption, requireJob, type StoreFlags, storeOption, withStore } from './store-access.ts'

const HELP = `
Reads back what the destinations hold and compares it with what the job's receipt says. Destinations
come from millrace.config.ts (see --config); without one, --to takes the URL that the job was run with.

Exit codes: 0 if every row is proven to be there as it was delivered, 6 if something is missing or
wrong, 4 if nothing was found to be wrong and not everything could be judged.

Examples:
  $ millrace verify 0b0f6a52-7d1e-4b7a-9c43-0e8f6d2b1a90
  $ millrace verify 0b0f6a52-7d1e-4b7a-9c43-0e8f6d2b1a90 --to kafka://localhost:9092/flights`

interface VerifyFlags extends StoreFlags {
  readonly to?: readonly string[]
  readonly json?: boolean
}

export function verifyCommand(done: (exitCode: number) => void): Command {
  return new Command('verify')
    .description('Prove that what a job delivered is there.')
    .argument('<job-id>')
    .option('--to <destination>', "one of the job's destinations, TYPE/NAME or a URL; may be repeated", collect)
    .option('--json', 'print one JSON array')
    .addOption(storeOption())
    .addOption(configOption())
    .addHelpText('after', HELP)
    .action(async (jobId: string, flags: VerifyFlags) => {
      const verifications = await verify(jobId, flags)
      process.stdout.write(
        flags.json ? `${JSON.stringify(verifications, null, 2)}\n` : verifications.map(verifyText).join('\n'),
      )
      done(exitCodeOf(verifications))
    })
}

async function verify(jobId: string, flags: VerifyFlags): Promise<readonly Verification[]> {
  const registered = await readDestinations(flags)
  return withStore(flags, async store => {
    const record = await requireJob(store, jobId)
    const destinations = chosen(record, registered)
    // only now: help and mistakes are answered without waiting for all of it to load
    const { verifyDelivery } = await import('../core/verify.ts')
    const verifications: Verification[] = []
    for (const destination of destinations)
      verifications.push(await verifyDelivery(store, record, destination, new AbortController().signal))
    return verifications
  })
}

interface Registered {
  /** By `type/name`. */
  readonly destinations: Settings['destinations']
  /** Those that `--to` says. */
  readonly wanted: readonly string[] | undefined
}

async function readDestinations({ config: path, to }: VerifyFlags): Promise<Registered> {
  const config = await findConfig(path)
  if (config) {
    const wanted = to?.map(text => {
      const named = readDestination(text)
      return named ? nameOf(named) : text
    })
    return { destinations: resolveOptions(config).destinations, wanted }
  }
  if (to === undefined) throw problem('is required where there is no millrace.config.ts and no --config')
  const problems: Problem[] = []
  const targets = readTargets(to, problems)
  if (problems.length > 0) throw new RequestError(problems)
  const sinks = await Promise.all(targets.map(createSink))
  return { destinations: resolveOptions({ sinks }).destinations, wanted: targets.map(nameOf) }
}

function chosen({ jobId, destinations: own }: JobRecord, { destinations, wanted }: Registered): readonly Destination[] {
  const names = own.map(nameOf)
  return (wanted ?? names).map(name => {
    const found = names.includes(name) ? destinations.get(name) : undefined
    if (found) return found
    throw problem(`must name a destination of job ${jobId} that is configured; it has ${names.join(', ')}, not ${name}`)
  })
}

export function verifyText(verification: Verification): string {
  const { type, name, verdict, by, problems, not_judged, checksums } = verification
  const counts = (
    ['delivered', 'records', 'found', 'missing', 'duplicated', 'unexpected', 'ahead', 'others', 'unreadable'] as const
  )
    .filter(key => verification[key] > 0 || key === 'delivered' || key === 'missing')
    .map(key => [key, formatCount(verification[key])])
  const facts = [
    ['destination', `${type}:${name}`],
    ['verdict', `${verdict}, by ${by}`],
    ...counts,
    ['checksums', checksums],
  ]
  const places = verification.places.map(placeText)
  const said = [...problems.map(text => `wrong: ${text}`), ...places, ...not_judged.map(text => `not judged: ${text}`)]
  return formatTable(facts) + said.map(text => `${text}\n`).join('')
}

function placeText({ first_chunk, last_chunk, missing, missing_rows, unexpected, wrong }: Place): string {
  const chunks = first_chunk === last_chunk ? `chunk ${first_chunk}` : `chunks ${first_chunk} to ${last_chunk}`
  const more = missing_rows.length < missing ? ', ...' : ''
  const which = missing_rows.length > 0 ? ` (${missing_rows.join(', ')}${more})` : ''
  const parts = [
    ...(missing > 0 ? [`${formatCount(missing)} missing${which}`] : []),
    ...(unexpected > 0 ? [`${formatCount(unexpected)} unexpected`] : []),
    ...(wrong ? ['another sum of checksums'] : []),
  ]
  return `  ${chunks}: ${parts.join(', ')}`
}

function exitCodeOf(verifications: readonly Verification[]): number {
  const verdicts = verifications.map(({ verdict }) => verdict)
  if (verdicts.includes('wrong')) return ERRORS.delivery_failed.exit
  return verdicts.includes('unproven') ? ERRORS.conflict.exit : 0
}

function problem(message: string): RequestError {
  return new RequestError([{ path: '--to', message }])
}
