/**
 * Settles as `work` does, unless a signal aborts first: then it rejects at once with that one's reason, whatever `work` goes on to do.
 * Not `AbortSignal.any`: there is one of these per batch, and nothing may stay on long-lived signals.
 */
export async function unlessAborted<T>(signals: readonly AbortSignal[], work: () => Promise<T>): Promise<T> {
  for (const signal of signals) signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const listeners = signals.map(signal => ({ signal, abort: () => aborted.reject(signal.reason) }))
  for (const { signal, abort } of listeners) signal.addEventListener('abort', abort)
  try {
    return await Promise.race([work(), aborted.promise])
  } finally {
    for (const { signal, abort } of listeners) signal.removeEventListener('abort', abort)
  }
}
