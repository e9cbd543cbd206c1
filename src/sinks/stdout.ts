import { write } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { CancelledError } from '../core/errors.ts'
import { checkOptions } from './options.ts'
import { DeliveryError, type Sink } from './sink.ts'
import { unlessAborted } from './unless-aborted.ts'

export interface StdoutSinkOptions {
  /** What requests call it: `{ "type": "stdout", "name": name }`. Default `stdout`. */
  readonly name?: string
  /** Another file descriptor, which stays open. Default 1. */
  readonly fd?: number
}

const schema = z.strictObject({ name: z.string().min(1).default('stdout'), fd: z.int().min(0).default(1) })

/** How long to leave alone a pipe that is full, and that somebody made non-blocking. */
const FULL_PIPE_MS = 10

/**
 * JSON lines to standard output, for pipes. A row counts as delivered when the operating system has taken it: what the other end of a
 * pipe makes of it, nobody tells. A reader that goes away fails the destination. Rows of one staged file are in order, whole lines of
 * several files in between; after a crash some come twice. Throws a `ConfigError` for options that are wrong.
 */
export function stdoutSink(options: StdoutSinkOptions = {}): Sink {
  const { name, fd } = checkOptions('stdoutSink', schema, options)
  // of all jobs: a line must not begin inside another
  let turn: Promise<unknown> = Promise.resolve()
  return {
    type: 'stdout',
    name,
    open: async () => {
      const ended = new AbortController()
      return {
        encoding: { kind: 'ndjson' },
        // a part of a batch that was written cannot be taken back
        retries: 'own',
        limits: { inFlight: 1 },
        write(batch, signal) {
          const signals = [signal, ended.signal]
          const written = turn.then(() => {
            for (const each of signals) each.throwIfAborted()
            return writeAll(fd, batch.bytes)
          })
          turn = written.catch(() => {})
          return unlessAborted(signals, () => written)
        },
        async close() {
          ended.abort(new CancelledError('the session was closed'))
        },
      }
    },
  }
}

/**
 * Not through `process.stdout`, which stops the whole process while a pipe is full. What is begun is brought to its end, also when
 * nobody waits for it any more: half a line would spoil what comes behind it.
 */
async function writeAll(fd: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { error, count } = await writeSome(fd, bytes.subarray(done))
    if (error === null) done += count
    else if (error.code === 'EAGAIN') await pause(FULL_PIPE_MS)
    else throw new DeliveryError(`standard output takes no more: ${error.message}`, { cause: error, retryable: true })
  }
}

function writeSome(fd: number, bytes: Uint8Array): Promise<{ error: NodeJS.ErrnoException | null; count: number }> {
  return new Promise(resolve => write(fd, bytes, (error, count) => resolve({ error, count })))
}
