import { Command } from 'commander'
import type { Redelivery } from '../core/engine.ts'
import { RequestError } from '../core/errors.ts'
import { followJob } from './follow.ts'
import { type EngineFlags, fromOption, jsonOption, withJobEngine } from './job-engine.ts'
import { createReporter } from './reporter.ts'
import { configOption, storeOption } from './store-access.ts'

const HELP = `
Source and destination come from the configuration, or from --from and --to, as for
"millrace run". Progress, outcome, signals and exit codes are those of "millrace run".

Examples:
  $ millrace redeliver 0b0f6a52-7d1e-4b7a-9c43-0e8f6d2b1a90 --to kafka:flights
  $ millrace redeliver 0b0f6a52-7d1e-4b7a-9c43-0e8f6d2b1a90 --to kafka:flights --chunks 3-5`

interface RedeliverFlags extends EngineFlags {
  readonly to: string
  readonly chunks?: string
}

export function redeliverCommand(done: (exitCode: number) => void): Command {
  return new Command('redeliver')
    .description(
      'Deliver the staged files of a job that has ended to one destination, once more or for the first time, without ' +
        'staging again. Possible while they are kept (keepStagedMs of the configuration).',
    )
    .argument('<job-id>')
    .requiredOption('--to <destination>', 'where the rows go')
    .option('--chunks <from-to>', 'only these chunks, counted from 0, the last one exclusive')
    .addOption(fromOption())
    .addOption(jsonOption())
    .addOption(configOption())
    .addOption(storeOption())
    .addHelpText('after', HELP)
    .action(async (jobId: string, flags: RedeliverFlags) => {
      const chunks = flags.chunks === undefined ? {} : { chunks: readChunks(flags.chunks) }
      const code = await withJobEngine(flags, jobId, ({ engine, scope, destinations: [destination] }) => {
        const start = () => engine.redeliver(jobId, { ...destination!, ...chunks }, scope)
        return followJob(engine, start, createReporter(process, flags.json ?? false))
      })
      done(code)
    })
}

function readChunks(text: string): NonNullable<Redelivery['chunks']> {
  const [, from, to] = /^(\d{1,9})-(\d{1,9})$/.exec(text) ?? []
  if (from !== undefined && to !== undefined) return { from: Number(from), to: Number(to) }
  throw new RequestError([{ path: '--chunks', message: 'must be FROM-TO, such as 0-3 for the chunks 0, 1 and 2' }])
}
