import type { Kernel } from './kernel.ts'

/** The kernel's memory from JavaScript. Its buffer is another one after every growth, so that no view is kept here but the last. */
export class KernelMemory {
  readonly #kernel: Kernel
  #view: DataView<ArrayBuffer>

  constructor(kernel: Kernel) {
    this.#kernel = kernel
    this.#view = new DataView(kernel.memory.buffer)
  }

  /** A view; good until anything is allocated. */
  bytes(address: number, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#buffer(), address, length)
  }

  /** A copy. */
  uint32s(address: number, count: number): Uint32Array<ArrayBuffer> {
    return new Uint32Array(this.#buffer(), address, count).slice()
  }

  get(address: number): number {
    return this.#fields().getUint32(address, true)
  }

  get64(address: number): bigint {
    return this.#fields().getBigUint64(address, true)
  }

  /** Numbers of either sign. */
  set(address: number, value: number): void {
    this.#fields().setUint32(address, value, true)
  }

  set64(address: number, value: bigint): void {
    this.#fields().setBigInt64(address, value, true)
  }

  /** Addresses have 32 bits without a sign, which WebAssembly hands out with one. */
  allocate(bytes: number): number {
    return this.#kernel.exports.allocate(bytes) >>> 0
  }

  /** Filled with zeros. */
  allocateCleared(bytes: number): number {
    const address = this.allocate(bytes)
    this.bytes(address, bytes).fill(0)
    return address
  }

  /** A copy of the bytes. */
  place(bytes: Uint8Array): number {
    const address = this.allocate(bytes.length)
    this.bytes(address, bytes.length).set(bytes)
    return address
  }

  /** 0 stands for nothing. */
  free(address: number): void {
    this.#kernel.exports.free(address)
  }

  #buffer(): ArrayBuffer {
    return this.#fields().buffer
  }

  #fields(): DataView<ArrayBuffer> {
    // growth detaches the buffer that there was; asking the memory for its buffer takes longer than asking that
    if (this.#view.buffer.byteLength === 0) this.#view = new DataView(this.#kernel.memory.buffer)
    return this.#view
  }
}

/** A limit that may be none, as 32 bits. */
export function uint32(limit: number): number {
  return Math.min(limit, 0xffffffff)
}
