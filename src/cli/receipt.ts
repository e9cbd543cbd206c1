import { Command } from 'commander'
import { type DestinationReceipt, makeReceipt, type Receipt } from '../core/receipt.ts'
import { formatBytes, formatCount, formatTable } from './format.ts'
import { configOption, requireJob, type StoreFlags, storeOption, withStore } from './store-access.ts'

export function receiptCommand(done: (exitCode: number) => void): Command {
  return new Command('receipt')
    .description('Show what became of every row of a job, and what its destinations can show for it.')
    .argument('<job-id>')
    .option('--json', 'all of it, chunk by chunk, as JSON')
    .addOption(storeOption())
    .addOption(configOption())
    .action(async (jobId: string, flags: StoreFlags & { readonly json?: boolean }) => {
      const receipt = await withStore(flags, async store => makeReceipt(store, await requireJob(store, jobId)))
      process.stdout.write(flags.json ? `${JSON.stringify(receipt, null, 2)}\n` : receiptText(receipt))
      done(0)
    })
}

export function receiptText(receipt: Receipt): string {
  const facts = [
    ['job', receipt.job_id],
    ['status', receipt.status],
    ['chunks', receipt.num_chunks === null ? '-' : formatCount(receipt.num_chunks)],
  ]
  const header = ['DESTINATION', 'STATUS', 'STAGED', 'DELIVERED', 'FILTERED', 'REFUSED', 'BYTES', 'CHECKSUM']
  const lines = receipt.destinations.map(destination => [
    nameOf(destination),
    destination.status,
    destination.staged === null ? '-' : formatCount(destination.staged),
    formatCount(destination.delivered),
    formatCount(destination.filtered),
    formatCount(destination.dead_lettered),
    formatBytes(destination.bytes),
    destination.checksum?.sum ?? '-',
  ])
  const table = formatTable([header, ...lines], [2, 3, 4, 5, 6])
  return `${formatTable(facts)}\n${table}${receipt.destinations.map(detailsOf).join('')}`
}

function detailsOf(destination: DestinationReceipt): string {
  const differences = destination.differences.map(
    ({ chunk, expected, settled }) =>
      `chunk ${chunk}: ${formatCount(expected)} rows to settle, ${formatCount(settled)} accounted for\n`,
  )
  const proof = destination.proof.map(({ partition, first, last }) =>
    partition === undefined ? [`${first} to ${last}`] : [`partition ${partition}`, `offsets ${first} to ${last}`],
  )
  if (differences.length + proof.length === 0) return ''
  return `\n${nameOf(destination)}\n${differences.join('')}${formatTable(proof)}`
}

function nameOf({ type, name }: DestinationReceipt): string {
  return `${type}:${name}`
}
