/** Memory for many bytes, with anything in it. */

/** A buffer of so many bytes. */
type NewBuffer = (bytes: number) => ArrayBuffer

/** Not zeroed, and not part of Node's own pool, whose buffers cannot be transferred. */
export const newBuffer: NewBuffer = bytes => Buffer.allocUnsafeSlow(bytes).buffer

/**
 * Memory that threads share. The garbage collector does not count it, and so is not called for every few megabytes of it; but `set`
 * copies into and out of it with a quarter of the speed of ordinary memory. Typed as if it were ordinary memory: who gets it has asked
 * for it (`SinkAsks`).
 */
export const newSharedBuffer: NewBuffer = bytes => new SharedArrayBuffer(bytes) as ArrayBufferLike as ArrayBuffer

export function isShared(buffer: ArrayBufferLike): boolean {
  return buffer instanceof SharedArrayBuffer
}
