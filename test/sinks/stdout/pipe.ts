/** A pipe whose other end is read in this process, and may not be for a while. */
import { execFile } from 'node:child_process'
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { promisify } from 'node:util'

export interface Pipe {
  /** To write to, blocking. */
  readonly fd: number
  /** The whole lines that have come. */
  lines(): string[]
  /** Nothing is read until the returned function is called. */
  stall(): () => void
  close(): void
}

/** `path`: where it is to be. */
export async function openPipe(path: string): Promise<Pipe> {
  await promisify(execFile)('mkfifo', [path])
  // the reader first, which does not wait for a writer
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const fd = openSync(path, constants.O_WRONLY)
  const piece = Buffer.alloc(1 << 16)
  const read: Buffer[] = []
  let stalled = false

  function drain(): void {
    while (!stalled) {
      const count = readSome(reader, piece)
      if (count === 0) return
      read.push(Buffer.from(piece.subarray(0, count)))
    }
  }

  const timer = setInterval(drain, 1)
  return {
    fd,
    lines() {
      drain()
      return Buffer.concat(read).toString().split('\n').slice(0, -1)
    },
    stall() {
      stalled = true
      return () => {
        stalled = false
      }
    },
    close() {
      clearInterval(timer)
      // what still writes to it fails
      closeSync(reader)
      closeSync(fd)
    },
  }
}

function readSome(fd: number, into: Buffer): number {
  try {
    return readSync(fd, into)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0
    throw error
  }
}
