import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { createEngine } from '../core/engine.ts'
import { toJob } from '../core/job-view.ts'
import { duckdbSource } from '../sources/duckdb.ts'
import { sqliteStore } from '../stores/sqlite.ts'
import { checkFiles, checkTopic } from './demo/check.ts'
import { demoRun } from './demo/run.ts'
import { demoWarehouse } from './demo/warehouse.ts'
import { followJob } from './follow.ts'
import { formatBytes, formatCompact, formatCount, formatDuration } from './format.ts'
import { createReporter } from './reporter.ts'

const HELP = `
Makes a DuckDB warehouse in a folder, backfills a window of one of its tables to files (or to
Kafka), and checks what arrived against the warehouse, by count and checksum.

The table is "flights", three million flights of 2001, where the package vega-datasets is
installed; else "base.assets.erc20_token_transfers", made up on the spot.

Examples:
  $ millrace demo
  $ millrace demo --all                          every row, not only those of some airports or of one token
  $ millrace demo --all --kafka localhost:9092   to the topic millrace-demo, made if it is not there`

export interface DemoFlags {
  readonly all?: boolean
  readonly kafka?: string
  readonly rows: number
  readonly dir: string
}

export function demoCommand(done: (exitCode: number) => void): Command {
  return new Command('demo')
    .description('See a backfill at work, with nothing to set up.')
    .option('--all', 'send every row of the table')
    .option('--kafka <brokers>', 'to Kafka instead of files: host:port[,host:port]')
    .option('--rows <count>', 'rows of the made-up table', readCount, 300_000)
    .option('--dir <path>', 'where the warehouse and the files go', join('.millrace', 'demo'))
    .addHelpText('after', HELP)
    .action(async (flags: DemoFlags) => done(await demo(flags)))
}

function readCount(text: string): number {
  const count = Number(text)
  if (Number.isSafeInteger(count) && count > 0) return count
  throw new InvalidArgumentError('must be a whole number above 0')
}

async function demo(flags: DemoFlags): Promise<number> {
  say('Preparing the warehouse ...')
  const warehouse = await demoWarehouse(join(flags.dir, `warehouse-${flags.rows}.duckdb`), flags.rows)
  const out = join(flags.dir, 'out')
  await rm(out, { recursive: true, force: true })
  await mkdir(out, { recursive: true })
  const { request, catalogue, sink, sql, destination } = await demoRun(flags, warehouse, out)
  const source = duckdbSource({ database: warehouse.path, stagingDir: join(flags.dir, 'staging'), tables: catalogue })
  const store = sqliteStore({ path: join(flags.dir, 'millrace.sqlite') })
  const topicBefore = flags.kafka === undefined ? undefined : await checkTopic(flags.kafka)
  try {
    const engine = createEngine({ source, sinks: [sink], store, takeOver: false })
    say(`Backfilling ${sql}\n         to ${destination}`)
    let jobId = ''
    const start = async (): ReturnType<typeof engine.create> => {
      const job = await engine.create(request)
      jobId = job.job_id
      return job
    }
    const code = await followJob(engine, start, createReporter(process, false), {
      on: (event, listener) => process.on(event, listener),
      off: (event, listener) => process.off(event, listener),
      exit: each => process.exit(each),
    })
    if (code !== 0) return code
    const job = toJob((await store.get(jobId))!)
    const rows = job.destinations[0]!.delivered
    const seconds = (Date.parse(job.time_completed!) - Date.parse(job.time_created)) / 1_000
    say(
      `${formatCount(rows)} rows, ${formatBytes(job.destinations[0]!.bytes)}, in ${formatDuration(seconds * 1_000)}: ` +
        `${formatCompact(rows / seconds)} rows/s from warehouse to destination, staging included.`,
    )
    say('Checking against the warehouse ...')
    const right =
      flags.kafka === undefined || topicBefore === undefined
        ? await checkFiles(warehouse.path, sql, out, say)
        : await checkTopic(flags.kafka).then(after => report(after - topicBefore, rows))
    if (!right) return 1
    say(`\nTry next:\n${suggestions(flags).join('\n')}`)
    return 0
  } finally {
    await store.close()
  }
}

function report(gained: number, rows: number): boolean {
  say(
    `  the topic gained ${formatCount(gained)} records for ${formatCount(rows)} rows: ${gained === rows ? 'right' : 'WRONG'}`,
  )
  return gained === rows
}

function suggestions(flags: DemoFlags): string[] {
  return [
    ...(flags.all ? [] : ['  millrace demo --all                        the whole table']),
    ...(flags.kafka ? [] : ['  millrace demo --all --kafka HOST:PORT      the same to a topic']),
    `  millrace list --store ${join(flags.dir, 'millrace.sqlite')}   what has been done`,
    '  millrace run --help                        your own tables and destinations',
    '(in a clone: npm run demo -- --all; npx millrace ...)',
  ]
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
