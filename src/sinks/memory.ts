import { rowBytes, type Sink } from './sink.ts'

export interface MemorySinkOptions {
  /** What requests call it: `{ "type": "memory", "name": name }`. */
  readonly name: string
}

export interface MemorySink extends Sink {
  /** Every row so far, parsed. Numbers come as JavaScript has them: `texts` keeps all the digits of large ones. */
  rows(): unknown[]
  /** Every row so far as its JSON text, in the order of arrival. */
  texts(): string[]
  /** Forgets all rows. */
  clear(): void
}

/**
 * Keeps every row of every job in memory, without a bound: for tests and examples with little data. What arrives twice is
 * kept twice. Nothing outlives the process, so a job that another process goes on with has its first rows elsewhere.
 */
export function memorySink(options: MemorySinkOptions): MemorySink {
  const texts: string[] = []
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return {
    type: 'memory',
    name: options.name,
    open: async () => ({
      async write(batch) {
        for (let row = 0; row < batch.rows; row++) texts.push(decoder.decode(rowBytes(batch, row)))
      },
      async close() {},
    }),
    rows: () => texts.map(text => JSON.parse(text)),
    texts: () => [...texts],
    clear: () => {
      texts.length = 0
    },
  }
}
