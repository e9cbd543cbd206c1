import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compressBatch, loadCompression } from '../../src/columnar/compress.ts'
import { framePayloads } from '../../src/columnar/framing.ts'
import type { Compression, KafkaEncoding, PlainEncoding } from '../../src/columnar/read-plan.ts'
import { type KafkaRecord, RecordBatchWriter } from '../../src/columnar/record-batch.ts'
import { type FramedRows, framedRows, openRows, reframe } from '../../src/columnar/reframe.ts'

const PLAIN: readonly PlainEncoding[] = [{ kind: 'rows' }, { kind: 'ndjson' }, { kind: 'json-array' }]
const COMPRESSIONS: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

const utf8 = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(text))
const texts = (rows: readonly { key: string | null; payload: Uint8Array }[]) =>
  rows.map(({ key, payload }) => [key, Buffer.from(payload).toString()])

function plain(encoding: PlainEncoding, payloads: readonly string[]): FramedRows {
  return { encoding, rows: payloads.length, ...framePayloads(payloads.map(utf8), encoding) }
}

function kafka(options: Partial<KafkaEncoding> = {}): KafkaEncoding {
  return {
    kind: 'kafka-batch',
    partitions: 3,
    timestamp: 'now',
    headers: { h: 'é' },
    idHeader: 'id',
    compression: 'none',
    ...options,
  }
}

async function framed(encoding: KafkaEncoding, records: readonly KafkaRecord[]): Promise<FramedRows> {
  await loadCompression(encoding.compression)
  const writer = new RecordBatchWriter(encoding)
  for (const record of records) writer.append(record)
  const bytes = compressBatch(writer.finish(), encoding.compression, length =>
    new Uint8Array(length + 9).subarray(0, length),
  )
  return { encoding, rows: records.length, bytes, ends: new Uint32Array(0) }
}

/** As the sender leaves a batch: times, producer, sequence and CRC are there. */
function completed({ bytes, ...rest }: FramedRows): FramedRows {
  const sent = Buffer.from(bytes)
  sent.writeUInt32BE(0xfeedbeef, 17)
  if (rest.encoding.kind === 'kafka-batch' && rest.encoding.timestamp === 'now') {
    sent.writeBigInt64BE(1_800_000_000_000n, 27)
    sent.writeBigInt64BE(1_800_000_000_000n, 35)
  }
  sent.writeBigInt64BE(4_000n, 43)
  sent.writeInt16BE(3, 51)
  sent.writeInt32BE(77, 53)
  return { ...rest, bytes: new Uint8Array(sent) }
}

const recordsDrawn = fc.array(
  fc.record({
    key: fc.option(fc.string({ unit: 'grapheme', maxLength: 10 }).map(utf8)),
    value: fc.string({ unit: 'grapheme', maxLength: 100 }).map(text => utf8(JSON.stringify(text))),
    timestamp: fc.bigInt(0n, 2n ** 62n),
    id: fc.string({ maxLength: 10 }).map(utf8),
  }),
  { minLength: 1, maxLength: 30 },
)

/** Groups of positions, ascending, no position in two of them; together perhaps all. */
const groupsDrawn = (rows: number) =>
  fc
    .array(fc.nat(3), { minLength: rows, maxLength: rows })
    .map(chosen =>
      [0, 1, 2]
        .map(group => chosen.flatMap((of, position) => (of === group ? [position] : [])))
        .filter(({ length }) => length > 0),
    )

describe.each(PLAIN)('a batch of $kind', encoding => {
  const payloads = ['{"a":1}', '{"a":"é€😀"}', '{}', '[1,2]']

  test('gives its rows back without framing', async () => {
    expect(texts(await openRows(plain(encoding, payloads), [3, 0, 1]))).toEqual([
      [null, payloads[3]],
      [null, payloads[0]],
      [null, payloads[1]],
    ])
  })

  test('is cut into batches that are framed alike', async () => {
    expect(await reframe(plain(encoding, payloads), [[1, 3], [0], [0, 1, 2, 3]])).toEqual([
      plain(encoding, [payloads[1]!, payloads[3]!]),
      plain(encoding, [payloads[0]!]),
      plain(encoding, payloads),
    ])
  })
})

describe.each(COMPRESSIONS)('a record batch (%s)', compression => {
  test('gives its rows back with their keys, also after the sender completed it', async () => {
    const records = [
      { key: utf8('é'), value: utf8('{"a":1}'), timestamp: 0n, id: utf8('id 0') },
      { key: null, value: utf8(`{"a":"${'x'.repeat(500)}"}`), timestamp: 0n, id: utf8('') },
      { key: utf8(''), value: utf8('{}'), timestamp: 0n, id: utf8('ü') },
    ]
    const batch = completed(await framed(kafka({ compression }), records))
    expect(texts(await openRows(batch, [2, 0, 1]))).toEqual([
      ['', '{}'],
      ['é', '{"a":1}'],
      [null, `{"a":"${'x'.repeat(500)}"}`],
    ])
    expect((await openRows(batch, [2, 0, 1])).map(({ id }) => id)).toEqual(['ü', 'id 0', ''])
    expect(texts(await openRows(batch, []))).toEqual([])
  })

  test('is cut into new batches, whatever the sender wrote into it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        recordsDrawn.chain(records => fc.tuple(fc.constant(records), groupsDrawn(records.length))),
        async (now, [drawn, groups]) => {
          const records = now ? drawn.map(record => ({ ...record, timestamp: 0n })) : drawn
          const encoding = kafka({ compression, timestamp: now ? 'now' : { column: 'at' } })
          const batch = completed(await framed(encoding, records))
          const before = batch.bytes.slice()
          const expected = groups.map(group =>
            framed(
              encoding,
              group.map(position => records[position]!),
            ),
          )
          const parts = await reframe(batch, groups)
          expect(parts).toEqual(await Promise.all(expected))
          expect(batch.bytes).toEqual(before)
        },
      ),
      { numRuns: 40 },
    )
  })
})

test('what is opened or reframed shares no memory with the batch', async () => {
  const record = { key: null, value: utf8('{"a":1}'), timestamp: 0n, id: utf8('id') }
  for (const { bytes, ...rest } of [plain({ kind: 'json-array' }, ['{"a":1}']), await framed(kafka(), [record])]) {
    // `slice` of a Buffer would be a view
    const batch = { ...rest, bytes: Buffer.from(bytes) }
    const [row] = await openRows(batch, [0])
    const [part] = await reframe(batch, [[0]])
    batch.bytes.fill(0)
    expect(Buffer.from(row!.payload).toString()).toBe('{"a":1}')
    expect(texts(await openRows(part!, [0]))).toEqual([[null, '{"a":1}']])
  }
})

test('a batch of refused rows is framed as rows, whatever the encoding', async () => {
  const { rows, bytes, ends } = plain({ kind: 'rows' }, ['1', '22'])
  const refused = framedRows({ rows, bytes, ends, refusal: 'too large' }, kafka())
  expect(texts(await openRows(refused, [1]))).toEqual([[null, '22']])
  expect(framedRows({ rows, bytes, ends }, kafka()).encoding).toEqual(kafka())
})

test('refused rows have the key that their records would have had', async () => {
  const { rows, bytes, ends } = plain({ kind: 'rows' }, ['{"a":1,"k":"é"}', '{"a":{"k":1},"k":null}', '{"a":1}'])
  const refused = framedRows({ rows, bytes, ends, refusal: 'too large' }, kafka({ key: 'k' }))
  expect((await openRows(refused, [0, 1, 2])).map(({ key }) => key)).toEqual(['é', null, null])
})
