/** Which encoder a thread uses: what a lane says of itself when it starts. */
import { kernelChoice } from '../columnar/kernel.ts'
import { publish } from './diagnostics.ts'

export interface EncoderInUse {
  readonly encoder: 'wasm' | 'javascript'
  /** Why not the kernel. */
  readonly reason?: string
}

/** Of this thread. Throws a `ConfigError` where `MILLRACE_KERNEL` cannot be followed. */
export function encoderInUse(): EncoderInUse {
  const { kernel, reason } = kernelChoice()
  return { encoder: kernel ? 'wasm' : 'javascript', ...(reason === undefined ? {} : { reason }) }
}

/** A fallback that nobody asked for is nothing to be silent about. */
export function publishStart(lane: number, { encoder, reason }: EncoderInUse): void {
  publish('lane', { lane, event: 'started', encoder, ...(reason === undefined ? {} : { reason }) })
  if (encoder === 'wasm' || process.env['MILLRACE_KERNEL'] === 'javascript') return
  publish('warning', { message: 'the kernel could not be loaded, and encoding is slower without it', error: reason })
}
