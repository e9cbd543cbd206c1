import { open } from 'node:fs/promises'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Command } from 'commander'
import { type StoredDeadLetter, storedDeadLetters } from '../core/dead-letters.ts'
import type { DestinationName } from '../core/destination-name.ts'
import { RequestError } from '../core/errors.ts'
import { type EngineFlags, fromOption, jsonOption, withJobEngine } from './job-engine.ts'
import { followRedrive } from './redrive.ts'
import { readDestination } from './setup.ts'
import { configOption, requireJob, type StoreFlags, storeOption, withStore } from './store-access.ts'

const HELP = `
Examples:
  $ millrace dead-letters list 0b0f6a52-7d1e-4b7a-9c43-0e8f6d2b1a90 | jq -r .cause | sort | uniq -c
  $ millrace dead-letters list 0b0f6a52-7d1e-4b7a-9c43-0e8f6d2b1a90 --output refused.jsonl
  $ millrace dead-letters redrive 0b0f6a52-7d1e-4b7a-9c43-0e8f6d2b1a90 --to kafka:flights`

export function deadLettersCommand(done: (exitCode: number) => void): Command {
  return new Command('dead-letters')
    .description('The rows that a destination refused for good: list them, or send them again.')
    .addCommand(listCommand(done))
    .addCommand(redriveCommand(done))
    .addHelpText('after', HELP)
}

interface ListFlags extends StoreFlags {
  readonly to?: string
  readonly output?: string
}

function listCommand(done: (exitCode: number) => void): Command {
  return new Command('list')
    .description(
      'Print dead letters as lines of JSON, with destination, chunk, row, key, payload (the row as JSON text), cause and ' +
        'time, ordered by destination, chunk and row.',
    )
    .argument('<job-id>')
    .option('--to <destination>', 'only those of this one, as TYPE:NAME')
    .option('--output <file>', 'write them to a file')
    .addOption(storeOption())
    .addOption(configOption())
    .action(async (jobId: string, flags: ListFlags) => {
      const only = flags.to === undefined ? undefined : requireName(flags.to)
      await withStore(flags, async store => {
        const letters = storedDeadLetters(store, await requireJob(store, jobId), only)
        // the first one before the file: a mistake must not empty one that is there
        const first = await letters.next()
        const output = flags.output === undefined ? process.stdout : await openOutput(flags.output)
        await pipeline(Readable.from(linesOf(first, letters)), output, { end: output !== process.stdout })
      })
      done(0)
    })
}

async function openOutput(path: string): Promise<Writable> {
  try {
    return (await open(path, 'w')).createWriteStream()
  } catch (error) {
    throw new RequestError([{ path: '--output', message: `cannot be written: ${(error as Error).message}` }])
  }
}

async function* linesOf(
  first: IteratorResult<StoredDeadLetter>,
  rest: AsyncIterable<StoredDeadLetter>,
): AsyncGenerator<string> {
  if (first.done) return
  yield `${JSON.stringify(first.value)}\n`
  for await (const letter of rest) yield `${JSON.stringify(letter)}\n`
}

function requireName(text: string): DestinationName {
  const name = readDestination(text)
  if (name) return name
  throw new RequestError([{ path: '--to', message: 'must be TYPE:NAME' }])
}

interface RedriveFlags extends EngineFlags {
  readonly to: string
}

function redriveCommand(done: (exitCode: number) => void): Command {
  return new Command('redrive')
    .description(
      'Send the dead letters of one destination of a job that has ended again. What it takes is removed and counts as ' +
        'delivered; what it refuses once more stays, with the new cause, and makes the exit code 6.',
    )
    .argument('<job-id>')
    .requiredOption('--to <destination>', 'the destination, as TYPE:NAME of the configuration, or with --from as URL')
    .addOption(fromOption())
    .addOption(jsonOption())
    .addOption(configOption())
    .addOption(storeOption())
    .action(async (jobId: string, flags: RedriveFlags) =>
      done(await withJobEngine(flags, jobId, open => followRedrive(open, process, flags.json ?? false))),
    )
}
