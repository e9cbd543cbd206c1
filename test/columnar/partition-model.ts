/** What a batcher of record batches is to do, said plainly, and rows drawn to compare them by. */
import fc from 'fast-check'
import { readTimestamp } from '../../src/columnar/calendar.ts'
import { partitionOf } from '../../src/columnar/murmur2.ts'
import type { Compression, KafkaEncoding } from '../../src/columnar/read-plan.ts'
import { RecordBatchWriter } from '../../src/columnar/record-batch.ts'

export interface TestRow {
  readonly row: number
  readonly json: string
  readonly key: string | null
  readonly at: string | null
}

export interface TestSpan {
  readonly chunk: number
  readonly row: number
  readonly rows: readonly TestRow[]
  /** What is filling is cut behind it. */
  readonly cut?: boolean
}

export type Options = Partial<KafkaEncoding> & { readonly batchRows?: number; readonly batchBytes?: number }

/** What the clock says. */
export const NOW = 1_800_000_000_123
export const COMPRESSIONS: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/** Keys that go to partitions 0, 1 and 2 of 3. */
export const [ZERO, ONE, TWO] = [0, 1, 2].map(wanted =>
  ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].find(key => partitionOf(Buffer.from(key), 3) === wanted),
) as [string, string, string]

export function planOf({ batchRows = 1_000, batchBytes = 1 << 20, ...options }: Options) {
  const encoding: KafkaEncoding = {
    ...{ kind: 'kafka-batch', partitions: 3, key: 'key', timestamp: 'now', headers: {}, compression: 'none' },
    ...options,
  }
  return { encoding, batchRows, batchBytes, stableBatches: false, checksums: true }
}

interface ModelRow {
  readonly span: TestSpan
  readonly row: TestRow
  /** Position among the rows of the span that had the same destiny. */
  readonly first: number
}

export interface ModelBatch {
  /** Undefined: its rows have no timestamp for Kafka. */
  readonly partition: number | undefined
  readonly rows: readonly ModelRow[]
}

/** The batches that the spans make, in the order in which they are cut. Each is made afresh to see whether it is too large. */
export function modelBatches(options: Options, spans: readonly TestSpan[]): ModelBatch[] {
  const { encoding, batchRows, batchBytes } = planOf(options)
  const { partitions, maxBatchBytes = Number.POSITIVE_INFINITY } = encoding
  const cutBatches: ModelBatch[] = []
  const filling: ModelRow[][] = Array.from({ length: partitions }, () => [])
  let sticky = (spans[0]?.chunk ?? 0) % partitions

  function fits(rows: readonly TestRow[]): boolean {
    if (rows.length === 1) return true
    return rows.length <= batchRows && lengthOf(encoding, rows) <= Math.min(batchBytes, maxBatchBytes)
  }

  function cut(partition: number): void {
    const rows = filling[partition]!.splice(0)
    if (rows.length > 0) cutBatches.push({ partition, rows })
  }

  function cutAll(): void {
    const moves = filling[sticky]!.length > 0
    filling.forEach((_, partition) => {
      cut(partition)
    })
    if (moves) sticky = (sticky + 1) % partitions
  }

  function place(row: TestRow): number {
    for (;;) {
      const keyed = encoding.key !== undefined && row.key !== null
      const partition = keyed ? partitionOf(Buffer.from(row.key!), partitions) : sticky
      if (fits([...filling[partition]!.map(({ row }) => row), row])) return partition
      cut(partition)
      if (partition === sticky) sticky = (sticky + 1) % partitions
    }
  }

  for (const span of spans) {
    const destinies: (number | undefined)[] = []
    const positioned = (row: TestRow, partition: number | undefined): ModelRow => {
      const first = destinies.filter(destiny => destiny === partition).length
      destinies.push(partition)
      return { span, row, first }
    }
    const early: ModelRow[] = []
    for (const row of span.rows) {
      if (millisOf(encoding, row) < 0n) {
        early.push(positioned(row, undefined))
        continue
      }
      const partition = place(row)
      filling[partition]!.push(positioned(row, partition))
    }
    for (const rows of packed(early, batchRows, batchBytes)) cutBatches.push({ partition: undefined, rows })
    if (span.cut) cutAll()
  }
  cutAll()
  return cutBatches
}

function packed(rows: readonly ModelRow[], batchRows: number, batchBytes: number): ModelRow[][] {
  const batches: ModelRow[][] = []
  for (const row of rows) {
    const grown = [...(batches.at(-1) ?? []), row]
    const bytes = Buffer.byteLength(grown.map(({ row: { json } }) => json).join(''))
    if (grown.length === 1 || grown.length > batchRows || bytes > batchBytes) batches.push([row])
    else batches[batches.length - 1] = grown
  }
  return batches
}

/** -1 where it is before 1970. */
function millisOf({ timestamp }: KafkaEncoding, { at }: TestRow): bigint {
  if (timestamp === 'now') return 0n
  if (at === null) return BigInt(NOW)
  const nanos = readTimestamp(at)!
  return nanos < 0n ? -1n : nanos / 1_000_000n
}

/** What is to be in the records of these rows. */
export function recordsOf(encoding: KafkaEncoding, rows: readonly TestRow[]) {
  return rows.map(row => ({
    key: encoding.key === undefined ? null : row.key,
    value: row.json,
    timestamp: millisOf(encoding, row),
  }))
}

/** Of the uncompressed record batch of these rows. */
export function lengthOf(encoding: KafkaEncoding, rows: readonly TestRow[]): number {
  const writer = new RecordBatchWriter(encoding)
  for (const { key, value, timestamp } of recordsOf(encoding, rows))
    writer.append({ key: key === null ? null : Buffer.from(key), value: Buffer.from(value), timestamp, id: null })
  return writer.finish().length
}

const rowsDrawn = fc.array(
  fc.record({
    gap: fc.nat(2),
    text: fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 12 }),
      fc.nat(400).map(size => 'x'.repeat(size)),
    ),
    key: fc.option(fc.oneof(fc.constantFrom(ZERO, ONE, TWO, ''), fc.string({ unit: 'grapheme' })), { freq: 3 }),
    at: fc.option(
      fc.oneof(
        { weight: 8, arbitrary: fc.nat(999).map(millis => `2024-05-05T05:05:05.${String(millis).padStart(3, '0')}Z`) },
        { weight: 2, arbitrary: fc.constantFrom('1970-01-01T00:00:00Z', '2262-04-11T23:47:16.854775807Z') },
        { weight: 1, arbitrary: fc.constantFrom('1969-12-31T23:59:59.999Z', '0001-01-01T00:00:00Z') },
      ),
    ),
  }),
  { maxLength: 12 },
)

/** Consecutive spans of chunks from 5 or 6 on, with gaps where rows were filtered out. */
export const spansDrawn = fc.array(fc.tuple(fc.boolean(), fc.boolean(), rowsDrawn), { maxLength: 8 }).map(drawn => {
  let chunk = 5
  let row = 0
  return drawn.map(([begins, cut, rows]): TestSpan => {
    if (begins) {
      chunk++
      row = 0
    }
    const start = row
    const kept = rows.map(({ gap, text, key, at }) => {
      row += gap + 1
      return { row: row - 1, json: JSON.stringify({ text }), key, at }
    })
    row++
    return { chunk, row: start, rows: kept, cut }
  })
})

export const optionsDrawn: fc.Arbitrary<Options> = fc.record(
  {
    partitions: fc.integer({ min: 1, max: 5 }),
    key: fc.constant('key'),
    timestamp: fc.constantFrom<KafkaEncoding['timestamp']>('now', { column: 'at' }),
    headers: fc.constantFrom<Record<string, string>>({}, { origin: 'backfill', é: '' }),
    compression: fc.constantFrom(...COMPRESSIONS),
    batchRows: fc.integer({ min: 1, max: 20 }),
    batchBytes: fc.integer({ min: 1, max: 2_000 }),
    maxBatchBytes: fc.integer({ min: 100, max: 2_000 }),
  },
  { requiredKeys: ['partitions', 'timestamp', 'headers', 'compression', 'batchRows', 'batchBytes'] },
)
