import { Command } from 'commander'
import { type Problem, RequestError } from '../core/errors.ts'
import { JOB_STATUSES, type Job } from '../core/job.ts'
import { toJob } from '../core/job-view.ts'
import type { ListQuery } from '../stores/store.ts'
import { formatCount, formatDuration, formatTable } from './format.ts'
import { statusText } from './progress.ts'
import { configOption, type StoreFlags, storeOption, withStore } from './store-access.ts'

interface ListFlags extends StoreFlags {
  readonly status?: string
  readonly table?: string
  readonly limit: string
  readonly json?: boolean
}

export function listCommand(done: (exitCode: number) => void): Command {
  return new Command('list')
    .description('List jobs, newest first.')
    .option('--status <status>', `only jobs that are ${JOB_STATUSES.join(', ')}`)
    .option('--table <table>', 'only jobs of this table')
    .option('--limit <n>', 'at most this many', '50')
    .option('--json', 'one JSON array of jobs')
    .addOption(storeOption())
    .addOption(configOption())
    .action(async (flags: ListFlags) => {
      const query = readQuery(flags)
      const jobs = (await withStore(flags, store => store.list(query))).map(record => toJob(record))
      process.stdout.write(flags.json ? `${JSON.stringify(jobs, null, 2)}\n` : listText(jobs, Date.now()))
      done(0)
    })
}

function readQuery({ status, table, limit }: ListFlags): ListQuery {
  const problems: Problem[] = []
  const known = JOB_STATUSES.find(each => each === status)
  if (status !== undefined && known === undefined)
    problems.push({ path: '--status', message: `must be one of ${JOB_STATUSES.join(', ')}` })
  if (!/^[1-9]\d{0,8}$/.test(limit)) problems.push({ path: '--limit', message: 'must be a whole number above 0' })
  if (problems.length > 0) throw new RequestError(problems)
  return { ...(known ? { status: known } : {}), ...(table === undefined ? {} : { table }), limit: Number(limit) }
}

export function listText(jobs: readonly Job[], nowMs: number): string {
  if (jobs.length === 0) return 'no jobs\n'
  const rows = jobs.map(job => [
    job.job_id,
    statusText(job),
    job.table,
    formatCount(job.destinations.reduce((sum, { delivered }) => sum + delivered, 0)),
    job.chunks_left === null ? '-' : formatCount(job.chunks_left),
    ageText(job.time_created, nowMs),
  ])
  return formatTable([['ID', 'STATUS', 'TABLE', 'ROWS', 'CHUNKS LEFT', 'AGE'], ...rows], [3, 4])
}

export function ageText(time: string, nowMs: number): string {
  return formatDuration(Math.max(0, nowMs - Date.parse(time)))
}
