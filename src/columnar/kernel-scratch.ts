/** What the kernel reads of one span: bytes that lie in its memory already, and copies of those that do not. */
import type { Kernel } from './kernel.ts'
import type { KernelMemory } from './kernel-memory.ts'

/** Where bytes will lie: at an address of the kernel's memory, or so far into the scratch, whose address is known later. */
export interface Place {
  readonly inScratch: boolean
  readonly at: number
}

/**
 * Planned first and filled then, in one piece: allocating it may make the kernel's memory grow, whereupon the views of what
 * lies there are void. Their addresses are not.
 */
export class Scratch {
  readonly #kernel: Kernel
  readonly #copies: { readonly bytes: Uint8Array; readonly at: number }[] = []
  #length = 0
  #address = 0

  constructor(kernel: Kernel) {
    this.#kernel = kernel
  }

  /** Bytes that the kernel is to read; they must not change before `fill`. */
  place(view: ArrayBufferView): Place {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
    if (bytes.buffer === this.#kernel.memory.buffer) return { inScratch: false, at: bytes.byteOffset }
    const at = this.#length
    this.#copies.push({ bytes, at })
    this.#length += roundedUp(bytes.length)
    return { inScratch: true, at }
  }

  /** As UTF-8. */
  text(text: string): { readonly place: Place; readonly bytes: number } {
    const bytes = Buffer.from(text)
    return { place: this.place(bytes), bytes: bytes.length }
  }

  /** Room for records that are written once addresses are known. */
  reserve(bytes: number): Place {
    const at = this.#length
    this.#length += roundedUp(bytes)
    return { inScratch: true, at }
  }

  fill(memory: KernelMemory): void {
    this.#address = memory.allocate(this.#length)
    const scratch = memory.bytes(this.#address, this.#length)
    for (const { bytes, at } of this.#copies) scratch.set(bytes, at)
  }

  /** After `fill`. */
  addressOf({ inScratch, at }: Place): number {
    return inScratch ? this.#address + at : at
  }

  free(memory: KernelMemory): void {
    memory.free(this.#address)
    this.#address = 0
  }
}

/** To whole blocks, and one more: blocks are read beyond the end, and must not be written meanwhile. */
function roundedUp(bytes: number): number {
  return (bytes + 31) & ~15
}
