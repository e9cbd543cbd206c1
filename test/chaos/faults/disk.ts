import { mkdir, open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { run } from '../../servers/process.ts'
import type { Round } from '../round.ts'
import { type Fault, PAUSE_MS } from './fault.ts'

/** In bytes: room for what a round needs, and quickly filled. */
const STORE_SIZE = '16m'
const STAGING_SIZE = '64m'

/** The disk of the store, or that of the staged files, is full for a while, or read-only. */
export const disk: Fault = {
  kind: 'disk full or read-only',

  async missing({ dir }) {
    const place = join(dir, 'mounted')
    await mkdir(place)
    try {
      await mount(place, '1m')
      await run('umount', [place])
      return undefined
    } catch {
      return 'the right to mount a file system in a namespace of its own (unshare -m)'
    }
  },

  async prepare(round) {
    const { store, staging } = placesOf(round)
    await mkdir(store, { recursive: true })
    await mkdir(staging, { recursive: true })
    await mount(store, STORE_SIZE)
    round.onEnd(() => run('umount', [store]))
    await mount(staging, STAGING_SIZE)
    round.onEnd(() => run('umount', [staging]))
  },

  async strike(round) {
    const places = placesOf(round)
    const place = round.random.pick(['store', 'staging'] as const)
    if (round.random.chance(0.5)) await fill(round, places[place])
    else await lock(round, places[place], place)
  },
}

function placesOf({ settings }: Round): { readonly store: string; readonly staging: string } {
  return { store: dirname(settings.store), staging: settings.stagingDir }
}

function mount(place: string, size: string): Promise<unknown> {
  return run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', place])
}

async function fill(round: Round, place: string): Promise<void> {
  const engine = round.running()
  await round.instant(engine)
  engine.mayFail = true
  const ballast = join(place, 'ballast')
  await takeRest(ballast)
  await round.pause(engine, PAUSE_MS)
  if (round.random.chance(0.5)) await round.kill(engine)
  await rm(ballast)
}

/** Down to the last byte. */
async function takeRest(path: string): Promise<void> {
  const file = await open(path, 'w')
  const pieces = [1 << 20, 1 << 12, 1].map(size => Buffer.alloc(size))
  for (const piece of pieces) {
    for (let full = false; !full; ) {
      full = await file.write(piece).then(
        ({ bytesWritten }) => bytesWritten < piece.length,
        () => true,
      )
    }
  }
  await file.close()
}

/** A file system becomes read-only where nobody writes to it: the engine is killed before. */
async function lock(round: Round, place: string, what: 'store' | 'staging'): Promise<void> {
  const before = round.running()
  await round.instant(before)
  await round.killAll()
  await run('mount', ['-o', 'remount,ro', place])
  const engine = round.start()
  engine.mayFail = true
  const signs = [engine.hear('error'), engine.hear('warning'), engine.halted()]
  await round.within(Promise.race(signs), 'the engine to come to an end on a read-only disk')
  await round.kill(engine)
  await run('mount', ['-o', 'remount,rw', place])
  const told = engine.said.some(
    line => 'message' in line && /job store .* cannot be opened for writing/.test(line.message),
  )
  // where the job had ended, there was nothing to write
  if (what === 'store' && !told && !engine.outcome)
    throw new Error(`the engine did not say that its store is read-only: ${round.story()}`)
}
