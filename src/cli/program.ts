import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { asMillraceError, ERRORS } from '../core/errors.ts'
import { cancelCommand } from './cancel.ts'
import { deadLettersCommand } from './dead-letters.ts'
import { demoCommand } from './demo.ts'
import { doctorCommand } from './doctor.ts'
import { redact } from './endpoint.ts'
import { listCommand } from './list.ts'
import { pauseCommand, resumeCommand } from './pause.ts'
import { receiptCommand } from './receipt.ts'
import { redeliverCommand } from './redeliver.ts'
import { retryCommand } from './retry.ts'
import { runCommand } from './run.ts'
import { showCommand } from './show.ts'
import { verifyCommand } from './verify.ts'

const manifest: { version: string } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

const HELP = `
Exit codes:
  0    the job completed, or the command did what it was asked
  1    an error inside millrace
  2    a flag, the request or the configuration is wrong, or a driver is missing
  3    there is no such job, or no store
  4    the job is not in a state for this, or not everything could be judged
  5    the source failed, or a staged file cannot be read
  6    a destination failed, or does not hold what was delivered
  7    the job store failed
  130  cancelled, by Ctrl-C or by "millrace cancel"
  143  stopped by SIGTERM; the job can be gone on with

Examples:
  $ millrace run --from duckdb:flights.db --table flights --partition-key date \\
      --start 2001-01-01 --end 2001-02-01 --to file:out
  $ millrace run request.json
  $ millrace list --status failed`

/** Runs one command and leaves with its exit code. */
export async function runProgram(argv: readonly string[]): Promise<void> {
  // a reader such as "head" that has seen enough is no error
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 141 : 1))
  process.on('uncaughtException', error => process.exit(report(error)))
  const code = await execute(argv)
  // not left to the event loop: a client that the configuration opened would keep the process for ever
  process.stdout.write('', () => process.exit(code))
}

async function execute(argv: readonly string[]): Promise<number> {
  let code = 0
  const done = (exitCode: number) => {
    code = exitCode
  }
  try {
    await createProgram(done).parseAsync(argv)
    return code
  } catch (error) {
    return report(error)
  }
}

function createProgram(done: (exitCode: number) => void): Command {
  const program = new Command('millrace')
    .description('Backfills: stages a window of a warehouse table and delivers every row to one or more destinations.')
    .version(manifest.version)
    .exitOverride()
    .configureOutput({ writeErr: text => process.stderr.write(redact(text)) })
    .showHelpAfterError('(see --help)')
    .addHelpText('after', HELP)
  for (const create of COMMANDS) program.addCommand(withSettingsOf(program, create(done)))
  return program
}

const COMMANDS = [
  ...[demoCommand, runCommand, listCommand, showCommand, cancelCommand, pauseCommand, resumeCommand],
  ...[retryCommand, redeliverCommand, deadLettersCommand, receiptCommand, verifyCommand, doctorCommand],
]

/** Commander hands settings down only when a command is made by its parent. */
function withSettingsOf(parent: Command, command: Command): Command {
  for (const sub of command.commands) withSettingsOf(parent, sub)
  return command.copyInheritedSettings(parent)
}

/** Prints an error, never a stack trace, and answers its exit code. */
function report(error: unknown): number {
  // commander has printed its own
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : ERRORS.invalid_request.exit
  const { code, message, problems } = asMillraceError(error, 'unexpected error')
  const lines = problems.map(problem => `  ${problem.path}: ${problem.message}`)
  const text = lines.length > 0 ? ['cannot do that:', ...lines].join('\n') : message
  process.stderr.write(redact(`millrace: ${text}\n`))
  return ERRORS[code].exit
}
