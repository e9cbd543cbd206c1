import { Command } from 'commander'
import { followJob } from './follow.ts'
import { type EngineFlags, fromOption, jsonOption, withJobEngine } from './job-engine.ts'
import { createReporter } from './reporter.ts'
import { collect } from './run.ts'
import { configOption, storeOption } from './store-access.ts'

const HELP = `
Source and destinations come from the configuration, or from --from and --to, as for
"millrace run"; they must be those of the job. Progress, outcome, signals and exit codes
are those of "millrace run" as well.

Example:
  $ millrace retry 0b0f6a52-7d1e-4b7a-9c43-0e8f6d2b1a90`

export function retryCommand(done: (exitCode: number) => void): Command {
  return new Command('retry')
    .description(
      'Go on with a failed job from its checkpoints, for the destinations that are not through, and run it to its end. ' +
        'Possible while its staged files are kept, by default for a day.',
    )
    .argument('<job-id>')
    .addOption(fromOption())
    .option('--to <destination>', 'with --from: where the rows go; may be repeated', collect)
    .addOption(jsonOption())
    .addOption(configOption())
    .addOption(storeOption())
    .addHelpText('after', HELP)
    .action(async (jobId: string, flags: EngineFlags) =>
      done(
        await withJobEngine(flags, jobId, ({ engine, scope }) =>
          followJob(engine, () => engine.retry(jobId, scope), createReporter(process, flags.json ?? false)),
        ),
      ),
    )
}
