import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HEADER_BYTES, type KafkaRecord, RecordBatchWriter, readRecords } from '../../src/columnar/record-batch.ts'
import { readWithKafkajs, readWithPlatformatic } from './kafka-records.ts'

const utf8 = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(text))

type Unnamed = Omit<KafkaRecord, 'id'>

/** `idHeader`: then the ids are `id 0`, `id 1` and so on. */
function write(
  records: readonly Unnamed[],
  headers: Readonly<Record<string, string>> = {},
  idHeader?: string,
): Uint8Array<ArrayBuffer> {
  const writer = new RecordBatchWriter({ headers, ...(idHeader === undefined ? {} : { idHeader }) })
  for (const record of named(records, idHeader)) writer.append(record)
  return writer.finish()
}

const named = (records: readonly Unnamed[], idHeader: string | undefined): KafkaRecord[] =>
  records.map((record, index) => ({ ...record, id: idHeader === undefined ? null : utf8(`id ${index}`) }))

test('a batch is written byte for byte as the format has it', () => {
  const batch = write(
    [
      { key: utf8('k'), value: utf8('{"a":1}'), timestamp: 1_000n },
      { key: null, value: utf8('{}'), timestamp: 935n },
    ],
    { h: 'é' },
  )
  const header = [
    '0000000000000000', // base offset
    '00000054', // 84 bytes follow
    'ffffffff', // partition leader epoch: -1
    '02', // magic
    '00000000', // CRC
    '0000', // attributes
    '00000001', // offset delta of the last
    '00000000000003e8', // base timestamp
    '00000000000003e8', // largest timestamp
    'ffffffffffffffff', // producer id: -1
    'ffff', // producer epoch: -1
    'ffffffff', // base sequence: -1
    '00000002', // records
  ]
  const headers = '02 02 68 04 c3a9' // one, of 1 and 2 bytes
  const records = [
    `26 00 00 00 02 6b 0e 7b2261223a317d ${headers}`, // 19 bytes, deltas 0, key of 1 byte, value of 7
    `1c 00 8101 02 01 04 7b7d ${headers}`, // 14 bytes, deltas -65 and 1, no key, value of 2
  ]
  expect(Buffer.from(batch).toString('hex')).toBe([...header, ...records].join('').replaceAll(' ', ''))
})

test('an id is the value of the last header', () => {
  const batch = write([{ key: null, value: utf8('{}'), timestamp: 0n }], { h: 'é' }, 'n')
  const headers = '04 02 68 04 c3a9 02 6e 08 69642030' // two: h, and n with the four bytes of `id 0`; 20 bytes in all
  const record = `28 00 00 00 01 04 7b7d ${headers}`.replaceAll(' ', '')
  expect(Buffer.from(batch.subarray(HEADER_BYTES)).toString('hex')).toBe(record)
})

const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 20 }), fc.constant('x'.repeat(9_000)))
const LAST = 2n ** 63n - 1n

const records = fc.array(
  fc.record({
    key: fc.option(text.map(utf8)),
    value: text.map(utf8),
    timestamp: fc.oneof(
      fc.bigInt(0n, LAST),
      fc.bigInt(1_700_000_000_000n, 1_800_000_000_000n),
      fc.constantFrom(0n, LAST),
    ),
  }),
  { minLength: 1, maxLength: 200, size: 'small' },
)
const idHeaders = fc.option(fc.string({ unit: 'binary', maxLength: 100 }), { nil: undefined })
const headers = fc.dictionary(fc.string({ maxLength: 5 }), fc.string({ unit: 'binary', maxLength: 200 }), {
  maxKeys: 3,
  noNullPrototype: true,
})

test('other clients read what was written', async () => {
  await fc.assert(
    fc.asyncProperty(records, headers, fc.boolean(), async (records, headers, hasIds) => {
      // longer than any of the other names
      const batch = write(records, headers, hasIds ? 'the id' : undefined)
      const timestamps = records.map(({ timestamp }) => timestamp)
      const wellFormed = (text: string) => Buffer.from(text).toString()
      const expected = {
        ...{ baseOffset: 0n, leaderEpoch: -1, producerId: -1n, producerEpoch: -1, baseSequence: -1 },
        lastOffsetDelta: records.length - 1,
        baseTimestamp: timestamps[0],
        maxTimestamp: timestamps.toSorted((a, b) => (a < b ? -1 : 1)).at(-1),
        records: records.map(({ key, value, timestamp }, offset) => ({
          key: key && Buffer.from(key).toString(),
          value: Buffer.from(value).toString(),
          ...{ timestamp, offset },
          headers: Object.fromEntries([
            ...Object.entries(headers).map(pair => pair.map(wellFormed)),
            ...(hasIds ? [['the id', `id ${offset}`]] : []),
          ]),
        })),
      }
      expect(readWithPlatformatic(batch)).toEqual(expected)
      expect(await readWithKafkajs(batch)).toEqual(expected)
    }),
  )
})

test('what was written is read back', () => {
  fc.assert(
    fc.property(records, headers, idHeaders, (records, headers, idHeader) => {
      const batch = write(records, headers, idHeader)
      const encoding = idHeader === undefined ? {} : { idHeader }
      expect(readRecords(batch, batch.subarray(HEADER_BYTES), encoding)).toEqual(named(records, idHeader))
    }),
  )
})

test('a batch without its last bytes is an error, not an endless search', () => {
  const batch = write([{ key: utf8('k'), value: utf8('{"a":1}'), timestamp: 0n }])
  for (let length = HEADER_BYTES; length < HEADER_BYTES + 6; length++)
    expect(() => readRecords(batch, batch.subarray(HEADER_BYTES, length), {})).toThrow('ends inside of a record')
})

test('the length with another record is known beforehand', () => {
  fc.assert(
    fc.property(records, headers, idHeaders, (records, headers, idHeader) => {
      const writer = new RecordBatchWriter({ headers, ...(idHeader === undefined ? {} : { idHeader }) })
      const lengths = named(records, idHeader).map(record => {
        const length = writer.lengthWith(record)
        writer.append(record)
        return length
      })
      expect(writer.rows).toBe(records.length)
      expect(writer.finish().length).toBe(lengths.at(-1))
    }),
  )
})

test('a writer begins anew after each batch', () => {
  const writer = new RecordBatchWriter({ headers: {} })
  const [one, other] = [
    { key: null, value: utf8('1'), timestamp: 9_000n, id: null },
    { key: utf8('k'), value: utf8('22'), timestamp: 5n, id: null },
  ]
  writer.append(one)
  expect(writer.finish().slice()).toEqual(write([one]))
  expect(writer.rows).toBe(0)
  writer.append(other)
  expect(writer.finish()).toEqual(write([other]))
})
