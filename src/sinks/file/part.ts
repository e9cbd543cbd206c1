import { open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Checkpoint, MessageBatch, Unit } from '../sink.ts'
import { attempt } from './errors.ts'
import { baseName, EXTENSIONS, isPieceOf } from './names.ts'
import { Piece } from './piece.ts'
import type { FileSettings } from './settings.ts'

/** What is written of a unit between two commits: a file, or several, which then all appear or none. */
export class Part {
  readonly watermarks: ReadonlyMap<number, number>
  readonly #settings: FileSettings
  readonly #unit: Unit
  /** Of the final names, without number and extension. */
  readonly #stem: string
  readonly #pieces: Piece[] = []
  #writing: Promise<unknown> = Promise.resolve()

  constructor(settings: FileSettings, unit: Unit, watermarks: ReadonlyMap<number, number>) {
    this.#settings = settings
    this.#unit = unit
    this.watermarks = watermarks
    const row = [...watermarks.values()].reduce((sum, watermark) => sum + watermark, 0)
    this.#stem = baseName(unit) + (row === 0 ? '' : `_${String(row).padStart(10, '0')}`)
  }

  /** Shows what is wrong with the directory before the first row comes. */
  open(): Promise<unknown> {
    return attempt(`write to ${this.#settings.dir}`, () => this.#current().open())
  }

  async write(batch: MessageBatch): Promise<void> {
    const { maxFileBytes } = this.#settings
    if (maxFileBytes !== undefined && this.#current().bytes >= maxFileBytes) this.#cut()
    const piece = this.#current()
    // always retryable: the other kind would refuse these rows, and no row is at fault
    const write = attempt(`write to ${piece.names.temporary}`, () => piece.write(batch.name, batch.bytes), true)
    this.#writing = write.catch(() => {})
    await write
  }

  async publish(): Promise<void> {
    const written = this.#pieces.filter(({ bytes }) => bytes > 0)
    if (written.length === 0) return this.discard()
    try {
      await attempt(`complete ${written[0]!.names.final}`, async () => {
        await Promise.all(written.map(piece => piece.finish()))
        await this.#removeOthers(written)
        for (const piece of written) await piece.publish()
        await syncDirectory(this.#settings.dir)
      })
    } catch (error) {
      await this.discard().catch(() => {}) // the first error is the one to tell
      throw error
    }
  }

  async discard(): Promise<void> {
    await this.#writing // it would make the file that is to be gone
    for (const piece of this.#pieces) await attempt(`remove ${piece.names.temporary}`, () => piece.discard())
  }

  #current(): Piece {
    if (this.#pieces.length === 0) this.#pieces.push(this.#newPiece())
    return this.#pieces.at(-1)!
  }

  /** The next write begins another file. Whether this one came to disk is for the commit to tell. */
  #cut(): void {
    this.#current()
      .finish()
      .catch(() => {})
    this.#pieces.push(this.#newPiece())
  }

  #newPiece(): Piece {
    const { dir, compression, maxFileBytes } = this.#settings
    const { leaseEpoch, attempt } = this.#unit
    const number = maxFileBytes === undefined ? '' : `.${String(this.#pieces.length).padStart(5, '0')}`
    const names = {
      temporary: join(dir, `.${baseName(this.#unit)}.${leaseEpoch}-${attempt}${number}.tmp`),
      final: join(dir, `${this.#stem}${number}${EXTENSIONS[compression]}`),
    }
    return new Piece(names, compression)
  }

  /**
   * What an attempt published that did not live to see its commit stored. It may have cut the rows at other places, or named its
   * files by other options. It cannot publish any more: its temporaries are gone.
   */
  async #removeOthers(written: readonly Piece[]): Promise<void> {
    const { dir } = this.#settings
    const own = new Set(written.map(({ names }) => names.final))
    for (const name of await readdir(dir))
      if (isPieceOf(this.#stem, name) && !own.has(join(dir, name))) await rm(join(dir, name), { force: true })
  }
}

export function watermarksOf(
  checkpoints: readonly Checkpoint[],
  earlier?: ReadonlyMap<number, number>,
): ReadonlyMap<number, number> {
  const watermarks = new Map(earlier)
  for (const { chunk, row } of checkpoints) watermarks.set(chunk, row)
  return watermarks
}

/** A rename is durable once its directory is. */
async function syncDirectory(dir: string): Promise<void> {
  if (process.platform === 'win32') return // directories cannot be opened there
  const handle = await open(dir, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
