/**
 * The kernel: WebAssembly with SIMD, compiled from the AssemblyScript in `kernel/`. One instance and one memory a thread.
 *
 * `MILLRACE_KERNEL` chooses: `wasm` insists on it, `javascript` does without; unset, it is used where it can be had.
 */
import { readFileSync } from 'node:fs'
import { ConfigError, messageOf } from '../core/errors.ts'
import type { ParquetKernelExports } from './parquet/kernel-exports.ts'

/** What `kernel/index.ts` exports. Addresses and sizes are in bytes. */
export interface KernelExports extends ParquetKernelExports {
  allocate(bytes: number): number
  free(address: number): void
  /** Encodes the span's rows from the `from`th selected one on. Returns how far it came: short of the end, a slot is full. */
  encodeRows(encoder: number, from: number): number
  /** Writes the header of a slot's record batch. */
  finishRecords(slot: number): void
  /** Takes the first rows out of a slot. */
  dropRows(encoder: number, slot: number, rows: number): void
  /** Drops all rows of a slot, and frees its memory. */
  freeSlot(encoder: number, slot: number): void
  /** Goes on with a 32-bit FNV-1a over 32-bit numbers. */
  hashNumbers(hash: number, address: number, count: number): number
}

export interface Kernel {
  readonly memory: WebAssembly.Memory
  readonly exports: KernelExports
}

/** Why there is no kernel, where there is none and that was not asked for. */
export interface KernelChoice {
  readonly kernel: Kernel | undefined
  readonly reason: string | undefined
}

/** Throws a `ConfigError` where `MILLRACE_KERNEL` cannot be followed. */
export function chooseKernel(wanted: string | undefined = process.env['MILLRACE_KERNEL']): KernelChoice {
  if (wanted !== undefined && !['', 'wasm', 'javascript'].includes(wanted))
    throw new ConfigError(`MILLRACE_KERNEL must be "wasm" or "javascript", not ${JSON.stringify(wanted)}`)
  if (wanted === 'javascript') return { kernel: undefined, reason: 'MILLRACE_KERNEL asks for JavaScript' }
  try {
    return { kernel: instantiate(), reason: undefined }
  } catch (error) {
    const reason = messageOf(error)
    if (wanted === 'wasm') throw new ConfigError(`the WebAssembly kernel cannot be used: ${reason}`, { cause: error })
    return { kernel: undefined, reason }
  }
}

/** This thread's choice, made once. */
export function kernelChoice(): KernelChoice {
  chosen ??= chooseKernel()
  return chosen
}

let chosen: KernelChoice | undefined

const FIRST_PAGES = 2
/** 4 GiB, which is what 32-bit addresses reach. */
const MOST_PAGES = 65_536

function instantiate(): Kernel {
  const module = new WebAssembly.Module(readFileSync(new URL('./kernel.wasm', import.meta.url)))
  const memory = new WebAssembly.Memory({ initial: FIRST_PAGES, maximum: MOST_PAGES })
  const { exports } = new WebAssembly.Instance(module, { env: { memory } })
  return { memory, exports: exports as unknown as KernelExports }
}
