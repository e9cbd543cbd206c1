import { Command } from 'commander'
import type { Job } from '../core/job.ts'
import { toJob } from '../core/job-view.ts'
import { formatBytes, formatCount, formatTable } from './format.ts'
import { ageText } from './list.ts'
import { statusText } from './progress.ts'
import { configOption, requireJob, type StoreFlags, storeOption, withStore } from './store-access.ts'

export function showCommand(done: (exitCode: number) => void): Command {
  return new Command('show')
    .description('Show one job and how far each of its destinations is.')
    .argument('<job-id>')
    .option('--json', 'the job as JSON')
    .addOption(storeOption())
    .addOption(configOption())
    .action(async (jobId: string, flags: StoreFlags & { readonly json?: boolean }) => {
      const job = toJob(await withStore(flags, store => requireJob(store, jobId)))
      process.stdout.write(flags.json ? `${JSON.stringify(job, null, 2)}\n` : showText(job, Date.now()))
      done(0)
    })
}

export function showText(job: Job, nowMs: number): string {
  const facts: (readonly [string, string | null])[] = [
    ['job', job.job_id],
    ['name', job.job_name],
    ['status', statusText(job)],
    ['error', job.error_message && `${job.error_message} (${job.error_code})`],
    ['table', job.table],
    ['window', `${job.backfill_start} <= ${job.partition_key} < ${job.backfill_end}`],
    ['filter', filterText(job)],
    [
      'chunks',
      job.num_chunks === null ? null : `${formatCount(job.chunks_left ?? 0)} of ${formatCount(job.num_chunks)} left`,
    ],
    ['created', `${job.time_created} (${ageText(job.time_created, nowMs)} ago)`],
    ['ended', job.time_completed],
  ]
  const destinations = job.destinations.map(destination => [
    `${destination.type}:${destination.name}`,
    destination.status,
    formatCount(destination.delivered),
    formatBytes(destination.bytes),
    formatCount(destination.filtered),
    formatCount(destination.dead_lettered),
    destination.chunks_left === null ? '-' : formatCount(destination.chunks_left),
    destination.error_message ?? '',
  ])
  const header = ['DESTINATION', 'STATUS', 'ROWS', 'BYTES', 'FILTERED', 'REFUSED', 'CHUNKS LEFT', '']
  const known = facts.flatMap(([name, value]) => (value === null ? [] : [[name, value]]))
  return `${formatTable(known)}\n${formatTable([header, ...destinations], [2, 3, 4, 5, 6])}`
}

function filterText({ filter_column, filter_values_count, filter_values_ref }: Job): string | null {
  if (filter_column === null) return null
  const values =
    filter_values_count === null ? `the values ${filter_values_ref}` : `${formatCount(filter_values_count)} values`
  return `${filter_column} is one of ${values}`
}
