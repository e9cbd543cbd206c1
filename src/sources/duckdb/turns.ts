/** At most `most` at work at once; the others wait, first come, first served, until their signal aborts. */
export function turns(most: number): <T>(signal: AbortSignal, work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let free = most

  function wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      function leave(): void {
        waiting.splice(waiting.indexOf(begin), 1)
        reject(signal.reason)
      }
      function begin(): void {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      signal.addEventListener('abort', leave, { once: true })
      waiting.push(begin)
    })
  }

  return async (signal, work) => {
    signal.throwIfAborted()
    if (free > 0) free--
    else await wait(signal)
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else free++
    }
  }
}
