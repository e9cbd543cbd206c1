/** The bodies of pages, decompressed into the kernel's memory. */
import { crc32 } from 'node:zlib'
import type { Kernel } from '../kernel.ts'
import type { Codec } from './codecs.ts'
import type { PagePlan, RowGroupPlan } from './column-plan.ts'
import { Damaged } from './pages.ts'

/** Addresses of the first byte and behind the last one. */
export interface Region {
  readonly start: number
  readonly end: number
}

/** The memory of one row group: valid until the kernel's memory grows. */
export class PageMemory {
  readonly kernel: Kernel
  readonly plan: RowGroupPlan
  /** Where the plan's offsets begin. */
  readonly base: number
  readonly bytes: Uint8Array
  readonly view: DataView

  constructor(kernel: Kernel, plan: RowGroupPlan, base: number) {
    this.kernel = kernel
    this.plan = plan
    this.base = base
    this.bytes = new Uint8Array(kernel.memory.buffer)
    this.view = new DataView(kernel.memory.buffer)
  }

  /** The page's body. Where it is not kept, until the next call. Throws `Damaged`. */
  load(codec: Codec, { page, kept }: PagePlan): Region {
    const { body, crc, compressed, levelBytes = 0 } = page
    if (crc !== undefined && (crc32(body) | 0) !== crc) throw new Damaged('has a page with a wrong checksum')
    const start = this.base + (kept ?? this.plan.body)
    const end = start + page.bytes
    // the levels of version 2
    this.bytes.set(body.subarray(0, levelBytes), start)
    const stored = body.subarray(levelBytes)
    const values = { start: start + levelBytes, end }
    if (values.end === values.start) return { start, end }
    if (compressed) this.#decompress(codec, stored, values)
    else if (stored.length === end - values.start) this.bytes.set(stored, values.start)
    else throw new Damaged('has a page of another size than it says')
    return { start, end }
  }

  #decompress(codec: Codec, stored: Uint8Array, to: Region): void {
    const target = { kernel: this.kernel, memory: this.bytes, input: this.base + this.plan.input }
    let whole = false
    let cause: unknown
    try {
      whole = codec(stored, target, to.start, to.end)
    } catch (error) {
      cause = error
    }
    if (!whole) throw new Damaged('has a page that cannot be decompressed', { cause })
  }
}
