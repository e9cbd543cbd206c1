import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import { constants, createGzip, createZstdCompress } from 'node:zlib'

export type FileCompression = 'gzip' | 'zstd'

const STREAMS = { gzip: createGzip, zstd: createZstdCompress }
const FLUSH = { gzip: constants.Z_SYNC_FLUSH, zstd: constants.ZSTD_e_flush }

/**
 * One stream of compressed bytes, handed out piece by piece. Not a stream for each piece, one behind the other, although the formats
 * allow it: Node's own reader of zstd stops behind the first, without a word.
 */
export class Compressor {
  readonly #stream: ReturnType<(typeof STREAMS)[FileCompression]>
  readonly #flush: number
  #output: Buffer[] = []

  constructor(compression: FileCompression) {
    this.#stream = STREAMS[compression]()
    this.#flush = FLUSH[compression]
    this.#stream.on('data', (piece: Buffer) => this.#output.push(piece))
    // callbacks and `finished` tell
    this.#stream.on('error', () => {})
  }

  /** All of `bytes`, as far as it can be read without what follows. */
  async add(bytes: Uint8Array): Promise<Buffer> {
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(bytes, error => error && reject(error))
      this.#stream.flush(this.#flush, resolve)
    })
    while (this.#stream.readableLength > 0) await once(this.#stream, 'data')
    return this.#take()
  }

  /** What ends the stream. */
  async end(): Promise<Buffer> {
    this.#stream.end()
    await finished(this.#stream)
    return this.#take()
  }

  destroy(): void {
    this.#stream.destroy()
  }

  #take(): Buffer {
    const output = Buffer.concat(this.#output)
    this.#output = []
    return output
  }
}
