import { Command } from 'commander'
import { sqliteStore } from '../stores/sqlite.ts'
import { followJob } from './follow.ts'
import { planRun, type RunFlags } from './plan.ts'
import { dryRun } from './preview.ts'
import { createReporter } from './reporter.ts'
import { configOption, storeOption } from './store-access.ts'

const HELP = `
Source and destinations come from millrace.config.ts (see --config), whose sinks --to
names as TYPE:NAME; or, with --from, from URLs:
  --from duckdb:PATH         a DuckDB file; --table and --partition-key name the one table
  --from files:GLOB          Parquet and Arrow IPC files, read where they lie; --partition-key names
                             the column of the window, --table is for people (default: files)
  --from https://HOST/FILE   the same of a file behind a URL, of which only what is needed is fetched
  --from s3://BUCKET/GLOB, gs://BUCKET/GLOB
                             the same of object stores, with the credentials of their own tools
  --to file:DIR              one file of JSON lines per unit of work
  --to kafka://[USER:PASSWORD@]HOST:PORT[,HOST:PORT]/TOPIC[?key=COLUMN&tls=true&sasl=SCRAM-SHA-256]
  --to stdout:               JSON lines to standard output, for pipes
  --to null:                 takes every row and drops it, to measure

Progress goes to stderr, the outcome to stdout. With --json stdout has the job as a line
of JSON whenever it has changed, and nothing else. Where rows go to stdout, all else goes
to stderr.

Ctrl-C cancels the job and waits for it to end; a second one leaves at once. SIGTERM leaves
the job as it is, to go on with: repeat the command with --resume JOB_ID. That helps after a
crash as well, once the process that ran the job has been silent for 30 seconds.

Examples:
  $ millrace run --from duckdb:flights.db --table flights --partition-key date \\
      --start 2001-01-01 --end 2001-02-01 --filter origin=SFO,OAK --to file:out
  $ millrace run --from 'files:flights/**/*.parquet' --partition-key date \\
      --start 2001-01-01 --end 2001-02-01 --to file:out
  $ millrace run --table flights --start 2001-01-01 --end 2001-02-01 --to kafka:flights
  $ millrace run request.json --dry-run
  $ millrace run request.json
  $ millrace run --from duckdb:flights.db --table flights --partition-key date \\
      --start 2001-01-01 --end 2001-02-01 --to stdout: | head
  $ jq '.table = "flights"' request.json | millrace run - --json`

export function runCommand(done: (exitCode: number) => void): Command {
  return new Command('run')
    .description('Run one backfill to its end.')
    .argument('[request]', 'the request as JSON, a file or - for stdin; flags stand over what it says')
    .option('--table <table>', 'what to backfill')
    .option('--partition-key <column>', "column of the window (default: the table's first in the configuration)")
    .option('--start <bound>', 'first value of the window: ISO 8601, UTC unless it says otherwise, or an integer')
    .option('--end <bound>', 'end of the window, exclusive')
    .option('--filter <column=a,b>', 'only rows whose column has one of these values', collect)
    .option('--filter-file <column=path>', 'the same with the lines of a file; blank ones do not count', collect)
    .option('--to <destination>', 'where the rows go; may be repeated', collect)
    .option('--from <source>', 'instead of a configuration')
    .option('--job-name <name>', 'for people')
    .option('--resume <job-id>', 'go on with a job that was left, instead of a new one')
    .option('--dry-run', 'say how much it would be, by which SQL, and what a row would look like; deliver nothing')
    .option('--json', 'print the job as lines of JSON')
    .addOption(configOption())
    .addOption(storeOption())
    .addHelpText('after', HELP)
    .action(async (file: string | undefined, flags: RunFlags) => done(await run(file, flags)))
}

async function run(file: string | undefined, flags: RunFlags): Promise<number> {
  const plan = await planRun(file, flags)
  // only now: help and mistakes are answered without waiting for all of it to load
  const { createEngine } = await import('../core/engine.ts')
  const store = flags.store === undefined ? (plan.options.store ?? sqliteStore()) : sqliteStore({ path: flags.store })
  try {
    // one job, and not whatever else may lie unfinished in the store
    const engine = createEngine({
      ...plan.options,
      store,
      takeOver: flags.resume === undefined ? false : [flags.resume],
    })
    if (flags.dryRun) return await dryRun(engine, plan, flags.json ?? false)
    return await followJob(engine, () => plan.start(engine), createReporter(process, flags.json ?? false))
  } finally {
    await store.close()
  }
}

/** An option that may be repeated. */
export function collect(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value]
}
