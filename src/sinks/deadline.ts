/** Not the default, an error whose stack is written down each time. */
const OVER = 'over'

/**
 * Settles as `work` does, unless `ms` pass or a parent aborts first: then it rejects at once with `late()` or the parent's
 * reason, whatever `work` goes on to do. The signal that `work` gets aborts when the waiting is over. Not
 * `AbortSignal.any` and `AbortSignal.timeout`: there is one of these per batch, and nothing may stay on long-lived parents.
 */
export async function within<T>(
  ms: number,
  parents: readonly AbortSignal[],
  late: () => Error,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  for (const parent of parents) parent.throwIfAborted()
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(late()), ms)
  const listeners = parents.map(parent => ({ parent, abort: () => over.abort(parent.reason) }))
  for (const { parent, abort } of listeners) parent.addEventListener('abort', abort)
  const given = new Promise<never>((_, reject) => {
    over.signal.addEventListener('abort', () => reject(over.signal.reason))
  })
  try {
    return await Promise.race([work(over.signal), given])
  } finally {
    clearTimeout(timer)
    for (const { parent, abort } of listeners) parent.removeEventListener('abort', abort)
    over.abort(OVER)
  }
}
