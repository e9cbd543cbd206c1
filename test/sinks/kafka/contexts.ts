import type { TableSchema } from '../../../src/columnar/column-type.ts'
import type { Json } from '../../../src/core/json.ts'
import type { SinkContext } from '../../../src/sinks/sink.ts'

export const SCHEMA: TableSchema = {
  table: 'shop.orders',
  columns: [
    { name: 'id', type: { kind: 'integer', bits: 64, signed: true }, native: 'BIGINT', nullable: false },
    { name: 'customer', type: { kind: 'string' }, native: 'VARCHAR', nullable: true },
    { name: 'at', type: { kind: 'timestamp', unit: 'us', zone: true }, native: 'TIMESTAMPTZ', nullable: true },
  ],
  partitionKeys: ['at'],
}

/** What the engine hands to `open`; `saved` is what `save` stored. */
export function contextOf(parts: Partial<SinkContext> = {}): SinkContext & { saved: Json | undefined } {
  const context = {
    jobId: 'job',
    organizationId: 'default',
    destination: { type: 'kafka', name: 'orders', uid: '3f0c6a52-7d1e-5b7a-9c43-0e8f6d2b1a90' },
    schema: SCHEMA,
    order: 'none' as const,
    probe: false,
    staticEgressIp: false,
    leaseEpoch: 1,
    saved: undefined as Json | undefined,
    save: async (state: Json) => {
      context.saved = state
    },
    reframe: () => Promise.reject(new Error('no batch is refused here')),
    signal: new AbortController().signal,
    ...parts,
  }
  return context
}

/** For writes that nobody aborts. */
export const NEVER = new AbortController().signal

/** The error that a promise rejects with. */
export async function rejection(
  promise: Promise<unknown>,
): Promise<Error & { code?: string; failed?: ReadonlyMap<number, unknown> }> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('it resolved')
}
