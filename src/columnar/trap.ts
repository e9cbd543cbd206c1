/**
 * Whether an error comes from a WebAssembly trap, such as damaged input can cause in the Parquet decoder. The decoder's
 * memory is then in no known state, so that its thread must not decode anything more. By name, since the error may have
 * crossed a thread.
 */
export function isTrap(error: unknown): boolean {
  for (let each = error, depth = 0; each instanceof Error && depth < 16; each = each.cause, depth++) {
    if (each.name === 'RuntimeError') return true
  }
  return false
}
