import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { MillraceError } from '../../core/errors.ts'
import { Compressor, type FileCompression } from './compressor.ts'

export interface PieceNames {
  readonly temporary: string
  readonly final: string
}

/** One file: written under its temporary name, and renamed when it is whole and on disk. */
export class Piece {
  readonly names: PieceNames
  readonly #compressor: Compressor | undefined
  #handle: FileHandle | undefined
  #bytes = 0
  /** Compressed bytes of a batch whose write failed: the compressor cannot take the batch again. */
  #unwritten: { readonly batch: string; readonly bytes: Buffer } | undefined
  #finished: Promise<void> | undefined

  constructor(names: PieceNames, compression: FileCompression | 'none') {
    this.names = names
    this.#compressor = compression === 'none' ? undefined : new Compressor(compression)
  }

  /** As written. */
  get bytes(): number {
    return this.#bytes
  }

  async open(): Promise<FileHandle> {
    this.#handle ??= await open(this.names.temporary, 'w')
    return this.#handle
  }

  /** By position, not appended: a retry, which comes with the same `batch`, overwrites what a failed write left behind. */
  async write(batch: string, rows: Uint8Array): Promise<void> {
    const bytes = this.#compressor ? await this.#compressed(batch, rows, this.#compressor) : rows
    await this.#writeAt(bytes)
    this.#unwritten = undefined
  }

  /** Brings it to disk and closes it; once. */
  finish(): Promise<void> {
    this.#finished ??= this.#finish()
    return this.#finished
  }

  async publish(): Promise<void> {
    await this.finish()
    await rename(this.names.temporary, this.names.final)
  }

  async discard(): Promise<void> {
    this.#compressor?.destroy()
    await this.#finished?.catch(() => {}) // it is to be gone in any case
    await this.#close()
    await rm(this.names.temporary, { force: true })
  }

  async #compressed(batch: string, rows: Uint8Array, compressor: Compressor): Promise<Buffer> {
    if (this.#unwritten?.batch !== batch) this.#unwritten = { batch, bytes: await compressor.add(rows) }
    return this.#unwritten.bytes
  }

  async #writeAt(bytes: Uint8Array): Promise<void> {
    const handle = await this.open()
    let done = 0
    while (done < bytes.length) {
      const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, this.#bytes + done)
      done += bytesWritten
    }
    this.#bytes += bytes.length
  }

  async #finish(): Promise<void> {
    if (this.#unwritten) throw new MillraceError('internal', `${this.names.temporary} lacks a batch in its middle`)
    if (this.#compressor) await this.#writeAt(await this.#compressor.end())
    const handle = await this.open()
    await handle.truncate(this.#bytes)
    await handle.sync()
    await this.#close()
  }

  async #close(): Promise<void> {
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close()
  }
}
