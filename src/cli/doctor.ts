import { Command } from 'commander'
import type { Finding } from '../core/doctor.ts'
import { type Problem, RequestError } from '../core/errors.ts'
import { fromOption } from './job-engine.ts'
import { collect } from './run.ts'
import { readSetup, type SetupFlags } from './setup.ts'
import { configOption } from './store-access.ts'

const HELP = `
Looks at the live systems that a configuration names: can the source log in, read its tables and write
where files are staged, and would the destinations take what is sent. What is wrong comes with what to
run to mend it. Nothing is delivered; a source may stage a single row, and removes it again.

Exit codes: 0 if all is well, else that of the first thing that is not (see "millrace --help").

Examples:
  $ millrace doctor
  $ millrace doctor --table base.assets.erc20_token_transfers
  $ millrace doctor --from duckdb:flights.db --table flights --partition-key date --to file:out`

interface DoctorFlags extends SetupFlags {
  readonly table?: string
  readonly partitionKey?: string
  readonly json?: boolean
}

export function doctorCommand(done: (exitCode: number) => void): Command {
  return new Command('doctor')
    .description('Check a configuration against the systems that it names, and say how to mend what is wrong.')
    .option('--table <table>', 'the one that destinations are tried with (default: any of the catalogue)')
    .option('--partition-key <column>', 'with --from')
    .option('--to <destination>', 'with --from; may be repeated', collect)
    .option('--json', 'print one JSON object a line')
    .addOption(fromOption())
    .addOption(configOption())
    .addHelpText('after', HELP)
    .action(async (flags: DoctorFlags) => done(await doctor(flags)))
}

async function doctor(flags: DoctorFlags): Promise<number> {
  const problems: Problem[] = []
  const { table, partitionKey } = flags
  if (flags.from !== undefined && table === undefined)
    problems.push({ path: '--table', message: 'is required with --from' })
  if (flags.from !== undefined && flags.to === undefined)
    problems.push({ path: '--to', message: 'is required with --from' })
  const setup = await readSetup(flags, { table, partitionKey }, problems)
  if (problems.length > 0) throw new RequestError(problems)
  const options = await setup.options()
  const { examine } = await import('../core/doctor.ts')
  let exit = 0
  try {
    for await (const finding of examine(options, table, new AbortController().signal)) {
      process.stdout.write(flags.json ? `${JSON.stringify(finding)}\n` : findingText(finding))
      if (!finding.ok && exit === 0) exit = finding.exit
    }
    return exit
  } finally {
    await options.source.close?.()
    await options.store?.close()
  }
}

function findingText({ part, what, ok, said, mend = [] }: Finding): string {
  const detail = said === undefined ? '' : `: ${said}`
  return `${ok ? 'ok    ' : 'FAILED'}  ${part}, ${what}${detail}\n${mend.map(line => `          ${line}\n`).join('')}`
}
