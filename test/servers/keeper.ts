/**
 * Runs a server as a child, in a directory of its own, until standard input ends: `node keeper.ts <dir> <command> <args>`.
 * Whoever started the keeper holds the other end of that pipe, so the server also dies with a test run that was killed
 * and could not clean up after itself. What the server says is in `<dir>/server.log`; the directory goes with it.
 */
import { spawn } from 'node:child_process'
import { openSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const [dir, command, ...args] = process.argv.slice(2) as [string, string, ...string[]]
const log = openSync(join(dir, 'server.log'), 'a')
const server = spawn(command, args, { cwd: dir, stdio: ['ignore', log, log] })
let stopping = false

// killed, not asked: its data is for tests, and an orderly shutdown takes seconds
function stop(): void {
  stopping = true
  server.kill('SIGKILL')
}

process.stdin.resume().on('end', stop).on('error', stop)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
server.on('error', () => process.exit(1))
server.on('exit', () => {
  if (stopping) rmSync(dir, { recursive: true, force: true })
  process.exit(stopping ? 0 : 1)
})
