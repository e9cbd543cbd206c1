import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Field, makeData, RecordBatch, Schema, Struct, Utf8 } from 'apache-arrow'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { addChecksums, rowChecksum, ZERO_CHECKSUM } from '../../src/columnar/checksum.ts'
import type { FilledBatch, PlannedChunk, RandomAccess, ReadPlan, UnitReader } from '../../src/columnar/read-plan.ts'
import { openUnitReader } from '../../src/columnar/reader.ts'
import { loadSet } from '../../src/columnar/value-sets.ts'
import { textBytes } from '../../src/sinks/sink.ts'
import { chunkOf, countingAccess, noValueSet, planOf, readUnit, rowsOf } from './read-units.ts'
import { arrowFile, numberedBatch, parquetFile } from './staged-files.ts'

interface TestFile {
  readonly bytes: Uint8Array
  readonly format: PlannedChunk['format']
}

interface Row {
  readonly i: number
  readonly s: string
}

/** Rows 0-2499, 2500-2999, none, and 3000-5999. */
let files: readonly TestFile[]

beforeAll(async () => {
  const numbered = (from: number, to: number): Promise<Uint8Array> =>
    parquetFile(`SELECT i::INTEGER AS i, 'row ' || i AS s FROM range(${from}, ${to}) r(i)`, 'ROW_GROUP_SIZE 2048')
  files = [
    { bytes: await numbered(0, 2500), format: 'parquet' },
    { bytes: arrowFile('arrow-file', [numberedBatch(2500, 300), numberedBatch(2800, 200)]), format: 'arrow-file' },
    { bytes: await numbered(0, 0), format: 'parquet' },
    { bytes: arrowFile('arrow-stream', [numberedBatch(3000, 3000)]), format: 'arrow-stream' },
  ]
})

/** Chunks 10, 11, ... are the files. */
function open(
  options: Partial<ReadPlan> = {},
  fromRows: readonly number[] = [],
  accesses = files.map(file => countingAccess(file.bytes)),
) {
  const chunks = files.map(({ bytes, format }, index) => chunkOf(bytes, format, fromRows[index] ?? 0, 10 + index))
  return openUnitReader(planOf(chunks, options), async chunk => accesses[chunk - 10]!, noValueSet)
}

const row = (i: number): Row => ({ i, s: `row ${i}` })
const allRows = Array.from({ length: 6000 }, (_, index) => row(index))

describe('a unit', () => {
  test('is read file by file, each to its last span', async () => {
    const { spans, batches } = await readUnit(open())
    expect(spans.map(({ chunk, row, rows, filtered, last }) => [chunk, row, rows, filtered, last])).toEqual([
      [10, 0, 1000, 0, false],
      [10, 1000, 1000, 0, false],
      [10, 2000, 48, 0, false],
      [10, 2048, 452, 0, true],
      [11, 0, 300, 0, false],
      [11, 300, 200, 0, true],
      [12, 0, 0, 0, true],
      [13, 0, 1000, 0, false],
      [13, 1000, 1000, 0, false],
      [13, 2000, 1000, 0, true],
    ])
    expect(rowsOf(batches)).toEqual(allRows)
    expect(batches.flatMap(batch => batch.pieces).map(({ chunk, row, rows }) => [chunk, row, rows])).toEqual(
      spans.filter(({ rows }) => rows > 0).map(({ chunk, row, rows }) => [chunk, row, rows]),
    )
  })

  test('goes on where each file was left', async () => {
    const { spans, batches } = await readUnit(open({}, [2048, 500, 0, 1000]))
    expect(spans.map(({ chunk, row, rows, last }) => [chunk, row, rows, last])).toEqual([
      [10, 2048, 452, true],
      [11, 500, 0, true],
      [12, 0, 0, true],
      [13, 1000, 1000, false],
      [13, 2000, 1000, true],
    ])
    expect(rowsOf(batches)).toEqual([...allRows.slice(2048, 2500), ...allRows.slice(4000)])
  })

  test('of no files ends at once, and stays at its end', async () => {
    const reader = openUnitReader(planOf([]), noValueSet as never, noValueSet)
    expect(await reader.next()).toBeUndefined()
    expect(await reader.next()).toBeUndefined()
    expect(await reader.cut()).toEqual([])
    await reader.close()
  })

  test('opens distant files a little ahead of their turn, and closes them all', async () => {
    const [file] = files as readonly [TestFile]
    const accesses = Array.from({ length: 8 }, () => countingAccess(file.bytes))
    const chunks = accesses.map((_, chunk) => chunkOf(file.bytes, 'parquet', 0, chunk))
    const reader = openUnitReader(planOf(chunks), async chunk => accesses[chunk]!, noValueSet)
    const opened = () => accesses.filter(({ reads }) => reads.length > 0).length
    for (let span = 0; span < 4; span++) await reader.next()
    await expect.poll(opened).toBe(5)
    await reader.next()
    await expect.poll(opened).toBe(6)
    await reader.close()
    await expect(reader.next()).rejects.toMatchObject({ code: 'cancelled' })
  })

  test('opens a file on a disk when it comes to it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'reader-'))
    try {
      const [file] = files as readonly [TestFile]
      await writeFile(join(folder, '0'), file.bytes)
      const chunks = [0, 1].map(chunk => chunkOf(file.bytes, 'parquet', 0, chunk))
      const reader = openUnitReader(planOf(chunks), async chunk => ({ path: join(folder, String(chunk)) }), noValueSet)
      for (let span = 0; span < 4; span++) expect(await reader.next()).toMatchObject({ chunk: 0 })
      await writeFile(join(folder, '1'), file.bytes)
      expect(await reader.next()).toMatchObject({ chunk: 1, row: 0 })
      await reader.close()
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('hands out identities and columns as text', async () => {
    const reader = open({ ids: { job: 'job-1' }, columns: ['s', 'i'], spanRows: 2048 })
    const { batches } = await readUnit(reader)
    const texts = (batch: FilledBatch, column: 'ids' | 's' | 'i'): string[] => {
      const text = column === 'ids' ? batch.ids! : batch.columns![column]!
      return Array.from({ length: batch.rows }, (_, index) => Buffer.from(textBytes(text, index)!).toString())
    }
    expect(batches.flatMap(batch => texts(batch, 's'))).toEqual(allRows.map(({ s }) => s))
    expect(batches.flatMap(batch => texts(batch, 'i'))).toEqual(allRows.map(({ i }) => String(i)))
    const ids = batches.flatMap(batch => texts(batch, 'ids'))
    expect([ids[0], ids[2499], ids[2500], ids[5999]]).toEqual([
      'job-1-10-0',
      'job-1-10-2499',
      'job-1-11-0',
      'job-1-13-2999',
    ])
  })

  test('gives the payload bytes of each span, and sums that add up', async () => {
    const { spans, batches } = await readUnit(open({ encoding: { kind: 'json-array' } }))
    const payloads = allRows.map(row => Buffer.from(JSON.stringify(row)))
    expect(spans.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(payloads.reduce((sum, { length }) => sum + length, 0))
    const checksums = batches.flatMap(batch => batch.pieces.map(piece => piece.checksum))
    expect(checksums.reduce(addChecksums)).toBe(payloads.map(payload => rowChecksum(payload)).reduce(addChecksums))
    const without = await readUnit(open({ checksums: false }))
    expect(without.batches.flatMap(batch => batch.pieces).every(piece => piece.checksum === ZERO_CHECKSUM)).toBe(true)
  })
})

describe('a predicate', () => {
  const values = ['row 5', 'row 2048', 'row 2600', 'row 2999', 'row 5999']
  const filtering = (valueList: { inline: string[] } | { ref: string }): Partial<ReadPlan> => ({
    predicate: {
      window: { column: 'i', type: { kind: 'integer', bits: 32, signed: true }, start: '6', end: '5999' },
      filter: { column: 's', type: { kind: 'string' }, values: { count: values.length, ...valueList } },
    },
  })

  test('leaves out rows, and says of each span how many', async () => {
    const { spans, batches } = await readUnit(open(filtering({ inline: values })))
    expect(rowsOf(batches)).toEqual([row(2048), row(2600), row(2999)])
    expect(
      batches.map(({ rowNumbers, pieces }) => [
        [...rowNumbers],
        pieces.map(({ chunk, row, first }) => [chunk, row, first]),
      ]),
    ).toEqual([
      [
        [0 + 2048, 100, 499],
        [
          [10, 2048, 0],
          [11, 0, 0],
          [11, 300, 0],
        ],
      ],
    ])
    expect(spans.map(({ rows, filtered }) => rows - filtered)).toEqual([0, 0, 0, 1, 1, 1, 0, 0, 0, 0])
  })

  test('takes a value set by name, asked for once', async () => {
    const asked: string[] = []
    const chunks = files.map(({ bytes, format }, index) => chunkOf(bytes, format, 0, 10 + index))
    const reader = openUnitReader(
      planOf(chunks, filtering({ ref: 'set-1' })),
      async chunk => countingAccess(files[chunk - 10]!.bytes),
      async set => {
        asked.push(set.ref)
        return loadSet(set, [values])
      },
    )
    expect(rowsOf((await readUnit(reader)).batches)).toEqual([row(2048), row(2600), row(2999)])
    expect(asked).toEqual(['set-1'])
  })

  test('whose value set cannot be loaded fails the reading', async () => {
    await expect(readUnit(open(filtering({ ref: 'set-1' })))).rejects.toThrow('nobody asked for set-1')
  })
})

describe('any way of reading', () => {
  const limits = fc.record({
    batchRows: fc.integer({ min: 5, max: 3000 }),
    batchBytes: fc.integer({ min: 200, max: 60_000 }),
    spanRows: fc.constantFrom(100, 333, 1000, 8192),
    stableBatches: fc.boolean(),
  })

  test('gives the same rows, each once and in order: any limits, cuts and resume point', async () => {
    await fc.assert(
      fc.asyncProperty(limits, fc.array(fc.nat(70)), fc.nat(1000), async (options, cuts, at) => {
        const { spans } = await readUnit(open({ ...options, batchRows: 10_000 }))
        const resumed = spans[at % spans.length]!
        const fromRows = files.map((_, index) => (10 + index === resumed.chunk ? resumed.row : 0))
        const reader = open(options, fromRows)
        const batches = await readCutting(reader, new Set(cuts))
        const skipped = spans.filter(({ chunk, row }) => chunk === resumed.chunk && row < resumed.row)
        const start = skipped[0] ? startOf(resumed.chunk) : 0
        const end = start + skipped.reduce((sum, { rows }) => sum + rows, 0)
        expect(rowsOf(batches)).toEqual([...allRows.slice(0, start), ...allRows.slice(end)])
      }),
      { numRuns: 15 },
    )
  })

  test('gives stable batches the same names, from wherever a checkpoint can be', async () => {
    await fc.assert(
      fc.asyncProperty(limits, async drawn => {
        const options = { ...drawn, stableBatches: true }
        const { spans, batches } = await readUnit(open(options))
        // a batch settles as a whole: checkpoints are where one ends with a span
        const ends = batches.flatMap((batch, index) => {
          const { chunk, row, first, rows } = batch.pieces.at(-1)!
          const span = spans.find(span => span.chunk === chunk && span.row === row)!
          return first + rows === span.rows && chunk === 10 ? [{ next: index + 1, row: row + span.rows }] : []
        })
        const sample = ends.filter((_, index) => index % Math.ceil(ends.length / 3) === 0)
        for (const { next, row } of [{ next: 0, row: 0 }, ...sample]) {
          const again = await readUnit(open(options, [row]))
          expect(again.batches.map(nameOf)).toEqual(batches.slice(next).map(nameOf))
        }
      }),
      { numRuns: 6 },
    )
  })

  function startOf(chunk: number): number {
    return [0, 2500, 3000, 3000][chunk - 10]!
  }

  async function readCutting(reader: UnitReader, cuts: ReadonlySet<number>): Promise<FilledBatch[]> {
    const batches: FilledBatch[] = []
    for (let index = 0; ; index++) {
      const span = await reader.next()
      if (!span) break
      batches.push(...span.batches)
      if (cuts.has(index)) batches.push(...(await reader.cut()))
    }
    batches.push(...(await reader.cut()))
    await reader.close()
    return batches
  }

  function nameOf({ rowsHash, pieces, rowNumbers }: FilledBatch): unknown {
    return { rowsHash, pieces, first: rowNumbers[0], last: rowNumbers.at(-1) }
  }
})

describe('errors', () => {
  test('of a file are the same on every later call: nothing is read past them', async () => {
    const accesses = files.map(file => countingAccess(file.bytes))
    const reader = open({}, [], [accesses[0]!, countingAccess(new Uint8Array(10)), ...accesses.slice(2)])
    for (let span = 0; span < 4; span++) await reader.next()
    const error = await reader.next().catch(error => error)
    expect(error).toMatchObject({ code: 'file_corrupt', message: expect.stringContaining('"file-11" has 10 bytes') })
    await expect(reader.next()).rejects.toBe(error)
    await expect(reader.cut()).rejects.toBe(error)
    await reader.close()
  })

  test('of a column that is asked for and not there name the file', async () => {
    await expect(readUnit(open({ columns: ['missing'] }))).rejects.toMatchObject({
      code: 'file_corrupt',
      message: 'the staged file "file-10" has no column "missing": stage it again',
    })
  })

  test('of a column that cannot be rendered name the file', async () => {
    const fields = [new Field('s', new Utf8())]
    const text = makeData({
      type: new Utf8(),
      length: 2,
      valueOffsets: Int32Array.of(0, 5, 3),
      data: Buffer.from('abcdef'),
    })
    const batch = new RecordBatch(
      new Schema(fields),
      makeData({ type: new Struct(fields), length: 2, children: [text] }),
    )
    const bytes = arrowFile('arrow-stream', [batch])
    const reader = openUnitReader(
      planOf([chunkOf(bytes, 'arrow-stream')]),
      async () => countingAccess(bytes),
      noValueSet,
    )
    await expect(readUnit(reader)).rejects.toMatchObject({
      code: 'file_corrupt',
      message: expect.stringMatching(/^the staged file "file-0": column "s": its offsets /),
    })
  })
})

describe('closing', () => {
  test('can be done twice, and before anything was read', async () => {
    const reader = open()
    await reader.close()
    await reader.close()
    await expect(reader.next()).rejects.toMatchObject({ code: 'cancelled' })
    await expect(reader.cut()).rejects.toMatchObject({ code: 'cancelled' })
  })

  test('ends a read that never would, wherever it is, and leaves the decoder in order', async () => {
    for (const { bytes, format } of files) {
      for (let hanging = 0; hanging < 4; hanging++) {
        let reads = 0
        const asked = Promise.withResolvers<void>()
        const access: RandomAccess = {
          byteLength: bytes.length,
          read: async (start, end) => {
            if (reads++ < hanging) return bytes.slice(start, end)
            asked.resolve()
            return new Promise(() => {})
          },
        }
        const reader = openUnitReader(planOf([chunkOf(bytes, format)]), async () => access, noValueSet)
        const reading = readToEnd(reader)
        reading.then(
          () => asked.resolve(),
          () => {},
        )
        await asked.promise
        await reader.close()
        await reading.catch(error => expect(error).toMatchObject({ code: 'cancelled' }))
      }
    }
    expect(rowsOf((await readUnit(open())).batches)).toEqual(allRows)
  })

  test('ends a value set and a file that never come', async () => {
    const never = (): Promise<never> => new Promise(() => {})
    const predicate = { filter: { column: 's', type: { kind: 'string' }, values: { count: 1, ref: 'x' } } } as const
    const chunks = [chunkOf(files[0]!.bytes)]
    for (const reader of [
      openUnitReader(planOf(chunks), never, noValueSet),
      openUnitReader(planOf(chunks, { predicate }), never, never),
    ]) {
      const reading = reader.next()
      reading.catch(() => {})
      await reader.close()
      await expect(reading).rejects.toMatchObject({ code: 'cancelled' })
    }
  })

  test('in the middle of a file gives back its memory', async () => {
    const { wasmMemory } = await import('parquet-wasm/node')
    const bytes = await parquetFile("SELECT repeat('x' || i, 50) AS s FROM range(20000) r(i)")
    const readSome = async (): Promise<void> => {
      const reader = openUnitReader(planOf([chunkOf(bytes)]), async () => countingAccess(bytes), noValueSet)
      await reader.next()
      await reader.next()
      await reader.close()
    }
    await readSome()
    const before = wasmMemory().buffer.byteLength
    for (let round = 0; round < 10; round++) await readSome()
    expect(wasmMemory().buffer.byteLength).toBe(before)
  })

  test.runIf(process.platform === 'linux')('gives back the file, also after an error', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'reader-'))
    const path = join(folder, 'x.parquet')
    await writeFile(path, files[0]!.bytes)
    const openFiles = async (): Promise<number> => (await readdir('/proc/self/fd')).length
    const before = await openFiles()
    const read = (chunk: PlannedChunk): UnitReader =>
      openUnitReader(planOf([chunk]), async () => ({ path }), noValueSet)
    const half = read(chunkOf(files[0]!.bytes))
    await half.next()
    expect(await openFiles()).toBe(before + 1)
    await half.close()
    await readUnit(read(chunkOf(files[0]!.bytes)))
    await expect(readUnit(read(chunkOf(files[0]!.bytes, 'parquet', 77)))).rejects.toMatchObject({
      code: 'file_corrupt',
    })
    expect(await openFiles()).toBe(before)
    await rm(folder, { recursive: true })
  })

  async function readToEnd(reader: UnitReader): Promise<void> {
    while (await reader.next());
  }
})
