import type { Sink } from './sink.ts'

export interface NullSinkOptions {
  /** What requests call it: `{ "type": "null", "name": name }`. */
  readonly name: string
}

export interface NullSink extends Sink {
  /** Rows and payload bytes so far, of all jobs; what came twice counts twice. */
  received(): { readonly rows: number; readonly bytes: number }
}

/** Acknowledges every row at once and drops it: for measuring what comes before a destination. */
export function nullSink(options: NullSinkOptions): NullSink {
  let rows = 0
  let bytes = 0
  return {
    type: 'null',
    name: options.name,
    open: async () => ({
      asks: { sharedMemory: true },
      async write(batch) {
        rows += batch.rows
        bytes += batch.bytes.length
      },
      async close() {},
    }),
    received: () => ({ rows, bytes }),
  }
}
