import { zstdCompressSync } from 'node:zlib'
import { compressionsAlgorithms } from '@platformatic/kafka'
import {
  compressionRegistry,
  Dictionary,
  Field,
  Int32,
  makeBuilder,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Utf8,
} from 'apache-arrow'
import { CompressionType } from 'apache-arrow/fb/compression-type'
import { FileBlock, Footer } from 'apache-arrow/ipc/metadata/file'
import type * as metadata from 'apache-arrow/ipc/metadata/message'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ArrowMessage, arrowMessages } from '../../src/columnar/arrow-messages.ts'
import { openFileBytes } from '../../src/columnar/file-bytes.ts'
import { DamagedFiles, flipBits, randomNumbers } from './damaged-files.ts'
import { chunkOf, countingAccess, readSpans, shape } from './read-units.ts'
import { arrowFile, numberedBatch } from './staged-files.ts'

const json = (first: number, rows: number): string[] =>
  Array.from({ length: rows }, (_, index) => `{"i":${first + index},"s":"row ${first + index}"}`)

describe.each(['arrow-file', 'arrow-stream'] as const)('an %s', format => {
  const batches = [
    numberedBatch(0, 2500),
    numberedBatch(2500, 0),
    numberedBatch(2500, 1000),
    numberedBatch(3500, 10),
    numberedBatch(3510, 0),
  ]
  const bytes = arrowFile(format, batches)

  test('falls into slices of record batches, the last one known though empty batches follow', async () => {
    const { spans } = await readSpans(bytes, format)
    expect(shape(spans)).toEqual([
      [0, 1000, false],
      [1000, 1000, false],
      [2000, 500, false],
      [2500, 1000, false],
      [3500, 10, true],
    ])
    expect(spans.flatMap(span => span.json)).toEqual(json(0, 3510))
  })

  test('gives the same later spans from every span on', async () => {
    const whole = await readSpans(bytes, format)
    for (const [index, { row }] of whole.spans.entries()) {
      const { spans } = await readSpans(bytes, format, { fromRow: row })
      expect(spans).toEqual(whole.spans.slice(index))
    }
    const { spans } = await readSpans(bytes, format, { fromRow: 3510 })
    expect(shape(spans)).toEqual([[3510, 0, true]])
  })

  test('reads each batch once, and not those before the first span', async () => {
    const large = arrowFile(
      format,
      [0, 1, 2, 3].map(index => numberedBatch(index * 10_000, 10_000)),
    )
    const whole = await readSpans(large, format, { spanRows: 10_000 })
    expect(whole.spans.flatMap(span => span.json)).toEqual(json(0, 40_000))
    expect(whole.readBytes).toBeLessThan(large.length + 5 * 16_384)
    expect(whole.reads.length).toBeLessThanOrEqual(12)
    const { readBytes } = await readSpans(large, format, { spanRows: 10_000, fromRow: 30_000 })
    expect(readBytes).toBeLessThan(large.length / 4 + 7 * 16_384)
  })

  test.each([1, 2600, 3505])('has no span that begins at row %i', async fromRow => {
    await expect(readSpans(bytes, format, { fromRow })).rejects.toMatchObject({ code: 'file_corrupt' })
  })

  test('without rows is one span without rows', async () => {
    for (const empty of [
      arrowFile(format, [numberedBatch(0, 0)]),
      arrowFile(format, [numberedBatch(0, 0), numberedBatch(0, 0)]),
    ]) {
      const { spans } = await readSpans(empty, format)
      expect(shape(spans)).toEqual([[0, 0, true]])
    }
  })

  test('over the budget is not read, and the error says what to change', async () => {
    const error = await readSpans(bytes, format, { rowGroupBudgetBytes: 20_000 }).catch(error => error)
    expect(error).toMatchObject({ code: 'over_budget' })
    expect(error.message).toMatch(
      /^record batch 0 of the staged file "file-0" has \d+ bytes uncompressed, above the budget of 20000: stage smaller files or row groups, or raise rowGroupBudgetBytes$/,
    )
    const { spans } = await readSpans(bytes, format, { rowGroupBudgetBytes: 20_000, fromRow: 3500 })
    expect(shape(spans)).toEqual([[3500, 10, true]])
  })

  test('from before Arrow 0.15 can be read', async () => {
    const legacy = arrowFile(format, batches, { writeLegacyIpcFormat: true })
    const { spans } = await readSpans(legacy, format)
    expect(spans.flatMap(span => span.json)).toEqual(json(0, 3510))
  })

  test('whose dictionary grows by deltas can be read, from any batch on', async () => {
    const bytes = arrowFile(format, growingDictionary())
    expect(await dictionaryBatches(bytes, format)).toEqual(['whole', 'delta', 'delta'])
    const expected = ['a', 'b', 'a', 'c', 'b', 'c', 'd', 'a', 'e'].map(word => `{"word":"${word}"}`)
    const { spans } = await readSpans(bytes, format)
    expect(spans.map(span => span.json)).toEqual([expected.slice(0, 3), expected.slice(3, 6), expected.slice(6)])
    expect((await readSpans(bytes, format, { fromRow: 6 })).spans.map(span => span.json)).toEqual([expected.slice(6)])
  })

  describe('that is compressed', () => {
    const compressed = (type: CompressionType): Uint8Array => {
      const lz4 = compressionsAlgorithms.lz4.compressSync
      const encode = (data: Uint8Array): Uint8Array =>
        type === CompressionType.ZSTD ? zstdCompressSync(data) : lz4(Buffer.from(data))
      compressionRegistry.set(type, { encode })
      const bytes = arrowFile(format, [numberedBatch(0, 2500), numberedBatch(2500, 500)], { compressionType: type })
      // nothing stays behind that could help to read it
      compressionRegistry.set(type, undefined as never)
      return bytes
    }

    test.each(['ZSTD', 'LZ4_FRAME'] as const)('with %s can be read', async type => {
      const bytes = compressed(CompressionType[type])
      const { spans } = await readSpans(bytes, format)
      expect(spans.flatMap(span => span.json)).toEqual(json(0, 3000))
    })

    test('over the budget when decompressed is not decompressed', async () => {
      const bytes = compressed(CompressionType.ZSTD)
      await claimDecompressedBytes(bytes, format, 10_000_000)
      await expect(readSpans(bytes, format, { rowGroupBudgetBytes: 1_000_000 })).rejects.toMatchObject({
        code: 'over_budget',
        message: expect.stringContaining('record batch 0'),
      })
    })

    test('into more than the budget is not decompressed to its end, whatever it says', async () => {
      for (const claimed of [8, -2]) {
        const bytes = compressed(CompressionType.ZSTD)
        await claimDecompressedBytes(bytes, format, claimed)
        await expect(readSpans(bytes, format, { rowGroupBudgetBytes: 30_000 })).rejects.toMatchObject({
          code: 'file_corrupt',
        })
      }
    })
  })
})

test('a stream may end without saying so', async () => {
  const bytes = arrowFile('arrow-stream', [numberedBatch(0, 10)])
  const { spans } = await readSpans(bytes.slice(0, -8), 'arrow-stream')
  expect(shape(spans)).toEqual([[0, 10, true]])
})

test('a stream that says that it ends goes on no further', async () => {
  const bytes = arrowFile('arrow-stream', [numberedBatch(0, 10)])
  await expect(readSpans(Buffer.concat([bytes, bytes]), 'arrow-stream')).rejects.toMatchObject({ code: 'file_corrupt' })
})

test('a stream may replace a dictionary, which does not change the batches before', async () => {
  const bytes = arrowFile('arrow-stream', [wordBatches()('a', 'b'), wordBatches()('x', 'y'), wordBatches()('x')])
  expect(await dictionaryBatches(bytes, 'arrow-stream')).toEqual(['whole', 'whole', 'whole'])
  const { spans } = await readSpans(bytes, 'arrow-stream', { spanRows: 1 })
  expect(spans.flatMap(span => span.json)).toEqual(['a', 'b', 'x', 'y', 'x'].map(word => `{"word":"${word}"}`))
})

test('a file may have its dictionaries behind the batches', async () => {
  const bytes = arrowFile('arrow-file', growingDictionary().slice(0, 1))
  const { spans } = await readSpans(dictionaryLast(bytes), 'arrow-file')
  expect(spans.map(span => span.json)).toEqual([['{"word":"a"}', '{"word":"b"}', '{"word":"a"}']])
})

describe.each(['arrow-file', 'arrow-stream'] as const)('a damaged %s', format => {
  let reader: DamagedFiles

  beforeAll(() => {
    reader = new DamagedFiles(format)
  })

  afterAll(() => reader.close())

  test.each(['', 'ARROW1', 'ARROW1\0\0........\0\0\0\0ARROW1', 'not Arrow data at all, whatever it is'])(
    '%j is refused',
    async text => {
      const outcome = await reader.read(Buffer.from(text))
      expect(outcome).toMatchObject({ rows: 0, code: 'file_corrupt', message: expect.stringContaining('"file-0"') })
    },
  )

  test('is told wherever it is cut off, save where a stream could have ended', async () => {
    const bytes = arrowFile(format, [numberedBatch(0, 2), numberedBatch(2, 2)])
    const found = new Set<string>()
    for (let length = 0; length < bytes.length; length++) {
      const outcome = readSpans(bytes.slice(0, length), format).then(
        ({ spans }) => `${spans.reduce((sum, { rows }) => sum + rows, 0)} rows`,
        error => error.code,
      )
      found.add(await outcome)
    }
    expect([...found].sort()).toEqual(
      format === 'arrow-file' ? ['file_corrupt'] : ['0 rows', '2 rows', '4 rows', 'file_corrupt'],
    )
  })

  test('ends in rows or in an error that names the file', async () => {
    const batches = [numberedBatch(0, 1500), numberedBatch(1500, 1500)]
    const bytes = arrowFile(format, batches)
    let refused = 0
    for (let seed = 0; seed < 60; seed++) {
      const random = randomNumbers(seed)
      const damaged =
        seed % 3 === 0
          ? bytes.slice(0, random(bytes.length))
          : flipBits(Uint8Array.from(bytes), random, 0, seed % 3 === 1 ? bytes.length : 700, 4)
      const { code, message } = await reader.read(damaged)
      if (code === undefined) continue
      refused++
      expect({ code, message }).toEqual({
        code: expect.stringMatching(/^(file_corrupt|unsupported_type|over_budget)$/),
        message: expect.stringContaining('"file-0"'),
      })
    }
    expect(refused).toBeGreaterThan(20)
  })
})

const wordType = new Dictionary(new Utf8(), new Int32())

/** A builder that goes on with its dictionary from batch to batch. */
function wordBatches(): (...words: string[]) => RecordBatch {
  const builder = makeBuilder({ type: wordType })
  const schema = new Schema([new Field('word', wordType)])
  return (...words) => {
    for (const word of words) builder.append(word)
    return new RecordBatch(
      schema,
      makeData({ type: new Struct(schema.fields), length: words.length, children: [builder.flush()] }),
    )
  }
}

function growingDictionary(): RecordBatch[] {
  const batch = wordBatches()
  return [batch('a', 'b', 'a'), batch('c', 'b', 'c'), batch('d', 'a', 'e')]
}

type ArrowFormat = 'arrow-file' | 'arrow-stream'

async function messagesOf(bytes: Uint8Array, format: ArrowFormat) {
  const file = await openFileBytes(
    chunkOf(bytes, format),
    async () => countingAccess(bytes),
    new AbortController().signal,
  )
  const messages: ArrowMessage[] = []
  for await (const message of arrowMessages(chunkOf(bytes, format), file)) messages.push(message)
  return messages
}

async function dictionaryBatches(bytes: Uint8Array, format: ArrowFormat): Promise<string[]> {
  const messages = await messagesOf(bytes, format)
  return messages.flatMap(({ message }) =>
    message.isDictionaryBatch() ? [message.header().isDelta ? 'delta' : 'whole'] : [],
  )
}

/** Changes what the first compressed buffer of the first record batch says of its length. */
async function claimDecompressedBytes(bytes: Uint8Array, format: ArrowFormat, claimed: number): Promise<void> {
  const { head, message } = (await messagesOf(bytes, format)).find(({ message }) => message.isRecordBatch())!
  const bodyStart = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(head) + head.length
  const { offset } = (message.header() as metadata.RecordBatch).buffers.find(({ length }) => length > 0)!
  new DataView(bytes.buffer, bytes.byteOffset).setBigInt64(bodyStart + offset, BigInt(claimed), true)
}

/** The same file of one dictionary and one record batch, the two of them exchanged. */
function dictionaryLast(bytes: Uint8Array): Uint8Array {
  const end = bytes.length - 10
  const footerStart = end - new DataView(bytes.buffer, bytes.byteOffset).getInt32(end, true)
  const { schema, version, ...blocks } = decodeFooter(bytes.slice(footerStart, end))
  const [dictionary, batch] = [blocks.dictionaries[0]!, blocks.batches[0]!]
  const sizeOf = (block: FileBlock): number => block.metaDataLength + block.bodyLength
  const sliceOf = (block: FileBlock): Uint8Array => bytes.slice(block.offset, block.offset + sizeOf(block))
  const moved = new Footer(
    schema,
    version,
    [new FileBlock(batch.metaDataLength, batch.bodyLength, dictionary.offset)],
    [new FileBlock(dictionary.metaDataLength, dictionary.bodyLength, dictionary.offset + sizeOf(batch))],
  )
  const footer = Footer.encode(moved)
  const middle = bytes.slice(batch.offset + sizeOf(batch), footerStart)
  const length = new Uint8Array(Int32Array.of(footer.length).buffer)
  const head = bytes.slice(0, dictionary.offset)
  return Buffer.concat([head, sliceOf(batch), sliceOf(dictionary), middle, footer, length, bytes.slice(-6)])
}

function decodeFooter(bytes: Uint8Array) {
  const footer = Footer.decode(bytes)
  const { schema, version } = footer
  return { schema, version, dictionaries: [...footer.dictionaryBatches()], batches: [...footer.recordBatches()] }
}
