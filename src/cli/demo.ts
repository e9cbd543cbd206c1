import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import type { DemoFlags } from './demo/sample.ts'

const HELP = `
Makes a DuckDB warehouse in a folder, backfills a window of one of its tables to files (or to
Kafka), and checks what arrived against the warehouse, by count and checksum.

The table is "flights", three million flights of 2001, where the package vega-datasets is
installed; else "base.assets.erc20_token_transfers", made up on the spot.

Examples:
  $ millrace demo
  $ millrace demo --all                          every row, not only those of some airports or of one token
  $ millrace demo --all --kafka localhost:9092   to the topic millrace-demo, made if it is not there`

export function demoCommand(done: (exitCode: number) => void): Command {
  return new Command('demo')
    .description('See a backfill at work, with nothing to set up.')
    .option('--all', 'send every row of the table')
    .option('--kafka <brokers>', 'to Kafka instead of files: host:port[,host:port]')
    .option('--rows <count>', 'rows of the made-up table', readCount, 300_000)
    .option('--dir <path>', 'where the warehouse and the files go', join('.millrace', 'demo'))
    .addHelpText('after', HELP)
    .action(async (flags: DemoFlags) => {
      // the engine and its drivers are loaded by those who need them
      const { demo } = await import('./demo/demo.ts')
      done(await demo(flags))
    })
}

function readCount(text: string): number {
  const count = Number(text)
  if (Number.isSafeInteger(count) && count > 0) return count
  throw new InvalidArgumentError('must be a whole number above 0')
}
