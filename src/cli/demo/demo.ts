import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createEngine } from '../../core/engine.ts'
import type { Job } from '../../core/job.ts'
import { toJob } from '../../core/job-view.ts'
import { duckdbSource } from '../../sources/duckdb.ts'
import { sqliteStore } from '../../stores/sqlite.ts'
import { followJob } from '../follow.ts'
import { formatBytes, formatCompact, formatCount, formatDuration } from '../format.ts'
import { createReporter } from '../reporter.ts'
import { checkFiles, checkTopic } from './check.ts'
import { type DemoFlags, type DemoRun, demoRun } from './sample.ts'
import { demoWarehouse, type Warehouse } from './warehouse.ts'

/** Answers the exit code. */
export async function demo(flags: DemoFlags): Promise<number> {
  say('Preparing the warehouse ...')
  const warehouse = await demoWarehouse(join(flags.dir, `warehouse-${flags.rows}.duckdb`), flags.rows)
  const out = join(flags.dir, 'out')
  await rm(out, { recursive: true, force: true })
  await mkdir(out, { recursive: true })
  const run = await demoRun(flags, warehouse, out)
  const topicBefore = flags.kafka === undefined ? 0 : await checkTopic(flags.kafka)

  say(`Backfilling ${run.sql}\n         to ${run.destination}`)
  const { code, job } = await backfill(flags, warehouse, run)
  if (code !== 0 || job === undefined) return code
  say(summary(job))

  say('Checking against the warehouse ...')
  const right =
    flags.kafka === undefined
      ? await checkFiles(warehouse.path, run.sql, out, say)
      : compareTopic((await checkTopic(flags.kafka)) - topicBefore, job)
  if (!right) return 1
  say(`\nTry next:\n${suggestions(flags).join('\n')}`)
  return 0
}

async function backfill(flags: DemoFlags, warehouse: Warehouse, run: DemoRun): Promise<{ code: number; job?: Job }> {
  const stagingDir = join(flags.dir, 'staging')
  const store = sqliteStore({ path: join(flags.dir, 'millrace.sqlite') })
  try {
    const source = duckdbSource({ database: warehouse.path, stagingDir, tables: run.catalogue })
    // small files, so that there is something to watch: the flights compress to 4 bytes a row
    const engine = createEngine({ source, sinks: [run.sink], store, takeOver: false, stagedFileBytes: 1 << 20 })
    let jobId = ''
    const start = async (): Promise<Job> => {
      const job = await engine.create(run.request)
      jobId = job.job_id
      return job
    }
    const code = await followJob(engine, start, createReporter(process, false))
    const record = await store.get(jobId)
    return { code, ...(record ? { job: toJob(record) } : {}) }
  } finally {
    await store.close()
  }
}

function summary({ destinations, time_created, time_completed }: Job): string {
  const { delivered, bytes } = destinations[0]!
  const ms = Date.parse(time_completed!) - Date.parse(time_created)
  const rate = formatCompact((delivered / ms) * 1_000)
  const took = `${formatCount(delivered)} rows, ${formatBytes(bytes)}, in ${formatDuration(ms)}`
  return `${took}: ${rate} rows/s from warehouse to destination, staging included.`
}

function compareTopic(gained: number, job: Job): boolean {
  const { delivered } = job.destinations[0]!
  const right = gained === delivered
  say(
    `  the topic gained ${formatCount(gained)} records for ${formatCount(delivered)} rows: ${right ? 'right' : 'WRONG'}`,
  )
  return right
}

function suggestions(flags: DemoFlags): string[] {
  const clone = process.env['npm_lifecycle_event'] === 'demo'
  const [again, millrace] = clone ? ['npm run demo --', 'npm run millrace --'] : ['npx millrace demo', 'npx millrace']
  return [
    ...(flags.all ? [] : [`  ${again} --all`]),
    ...(flags.kafka ? [] : [`  ${again} --all --kafka HOST:PORT`]),
    `  ${millrace} list --store ${join(flags.dir, 'millrace.sqlite')}`,
    `  ${millrace} run --help`,
  ]
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
