import { beforeAll, describe, expect, test } from 'vitest'
import { openFileBytes } from '../../src/columnar/file-bytes.ts'
import { kernelChoice } from '../../src/columnar/kernel.ts'
import { parquetParts } from '../../src/columnar/parquet.ts'
import type { RandomAccess } from '../../src/columnar/read-plan.ts'
import { openUnitReader } from '../../src/columnar/reader.ts'
import { SourceError } from '../../src/core/errors.ts'
import { DamagedFiles, flipBits, randomNumbers } from './damaged-files.ts'
import {
  chunkOf,
  countingAccess,
  noValueSet,
  planOf,
  readSpans,
  readUnit,
  type SpanOptions,
  shape,
} from './read-units.ts'
import { parquetFile } from './staged-files.ts'

const readParquet = (bytes: Uint8Array, options: SpanOptions = {}) => readSpans(bytes, 'parquet', options)

describe('a file of three row groups', () => {
  let bytes: Uint8Array
  let whole: Awaited<ReturnType<typeof readParquet>>

  beforeAll(async () => {
    bytes = await parquetFile("SELECT i::INTEGER AS i, 'row ' || i AS s FROM range(5000) r(i)", 'ROW_GROUP_SIZE 2048')
    whole = await readParquet(bytes)
  })

  test('falls into spans that begin anew with each row group', () => {
    expect(shape(whole.spans)).toEqual([
      [0, 1000, false],
      [1000, 1000, false],
      [2000, 48, false],
      [2048, 1000, false],
      [3048, 1000, false],
      [4048, 48, false],
      [4096, 904, true],
    ])
  })

  test('gives every row', () => {
    const expected = Array.from({ length: 5000 }, (_, i) => `{"i":${i},"s":"row ${i}"}`)
    expect(whole.spans.flatMap(span => span.json)).toEqual(expected)
  })

  test('is read by its end, which holds the footer, and one piece a row group', () => {
    const [end, ...groups] = whole.reads
    expect(end![1]).toBe(bytes.length)
    expect(groups).toHaveLength(3)
    for (const [index, [start]] of groups.entries()) expect(start).toBeGreaterThanOrEqual(groups[index - 1]?.[1] ?? 4)
  })

  test('gives the same later spans from every span on, and reads no row group before it', async () => {
    const groups = whole.reads.slice(1).map(([start]) => start)
    for (const [index, { row }] of whole.spans.entries()) {
      const { spans, reads } = await readParquet(bytes, { fromRow: row })
      expect(spans).toEqual(whole.spans.slice(index))
      expect(reads.slice(1).map(([start]) => start)).toEqual(groups.slice(Math.floor(row / 2048)))
    }
  })

  test('is one span without rows where all of them were read before, and reads no row group', async () => {
    const { spans, reads } = await readParquet(bytes, { fromRow: 5000 })
    expect(shape(spans)).toEqual([[5000, 0, true]])
    expect(reads).toHaveLength(1)
  })

  test.each([1, 999, 2047, 4999])('has no span that begins at row %i', async fromRow => {
    await expect(readParquet(bytes, { fromRow })).rejects.toMatchObject({
      code: 'file_corrupt',
      message: expect.stringContaining(`"file-0" has no span that begins at row ${fromRow}`),
    })
  })

  test('cannot be read on behind its end', async () => {
    await expect(readParquet(bytes, { fromRow: 6000 })).rejects.toMatchObject({ code: 'file_corrupt' })
  })

  test('over the budget is not decoded, and the error says what to change', async () => {
    const error = await readParquet(bytes, { rowGroupBudgetBytes: 1000 }).catch(error => error)
    expect(error).toMatchObject({ code: 'over_budget' })
    expect(error.message).toMatch(
      /^row group 0 of the staged file "file-0" has \d+ bytes uncompressed, above the budget of 1000: stage smaller files or row groups, or raise rowGroupBudgetBytes$/,
    )
  })

  test('over the budget may be read on behind the row group that is', async () => {
    const large = await parquetFile(
      "SELECT CASE WHEN i < 2048 THEN repeat('x' || i, 100) ELSE 'x' END AS s FROM range(4096) r(i)",
      'ROW_GROUP_SIZE 2048',
    )
    await expect(readParquet(large, { rowGroupBudgetBytes: 100_000 })).rejects.toMatchObject({ code: 'over_budget' })
    const { spans } = await readParquet(large, { rowGroupBudgetBytes: 100_000, fromRow: 2048 })
    expect(spans).toHaveLength(3)
  })
})

test('a file without rows is one span without rows', async () => {
  const { spans } = await readParquet(await parquetFile('SELECT 1 AS i WHERE false'))
  expect(shape(spans)).toEqual([[0, 0, true]])
})

test('values of every type survive, also behind an offset', async () => {
  const select = `SELECT i::INTEGER AS i, (i * 1.5)::DECIMAL(38,6) AS d38, (i * 1.5)::DECIMAL(9,2) AS d9, i % 3 = 0 AS b,
    CASE WHEN i % 7 > 0 THEN 's' || i END AS s, ('b' || i)::BLOB AS bl, DATE '2026-01-01' + i::INTEGER AS d,
    TIMESTAMP '2026-01-01' + INTERVAL (i) SECOND AS ts, [i, NULL, i * 2] AS l, [(i * 1.5)::DECIMAL(20,2)] AS ld,
    {'a': i, 'b': 'x' || i} AS st, MAP {'k' || i: i} AS m FROM range(2500) r(i)`
  const bytes = await parquetFile(select)
  const { spans } = await readParquet(bytes)
  const rows = spans.flatMap(span => span.json)
  expect(rows[1999]).toBe(
    '{"i":1999,"d38":2998.500000,"d9":2998.50,"b":false,"s":"s1999","bl":"YjE5OTk=","d":"2031-06-23",' +
      '"ts":"2026-01-01T00:33:19Z","l":[1999,null,3998],"ld":[2998.50],"st":{"a":1999,"b":"x1999"},"m":{"k1999":1999}}',
  )
  expect((await readParquet(bytes, { fromRow: 1000 })).spans.flatMap(span => span.json)).toEqual(rows.slice(1000))
})

test.each(['INTERVAL 1 MONTH', '[INTERVAL 1 MONTH]', "{'a': INTERVAL 1 DAY}"])(
  '%s is refused, since the decoder would lose its months',
  async value => {
    await expect(readParquet(await parquetFile(`SELECT 1 AS i, ${value} AS period`))).rejects.toMatchObject({
      code: 'unsupported_type',
      message:
        'the staged file "file-0" has a column that cannot be read ("period" is an INTERVAL, whose months would be lost): convert it where it is staged',
    })
  },
)

test('booleans are read wherever in memory they lie', async () => {
  for (const columns of [1, 2]) {
    for (const rows of [8192, 30_000, 65_536]) {
      const list = Array.from({ length: columns }, (_, index) => `i % ${index + 3} < 2 AS b${index}`)
      const { spans } = await readParquet(await parquetFile(`SELECT ${list} FROM range(${rows}) r(i)`), {
        spanRows: 32_768,
      })
      const found = spans.flatMap(span => span.json)
      expect(found).toHaveLength(rows)
      expect(JSON.parse(found.at(-1)!)['b0']).toBe((rows - 1) % 3 < 2)
    }
  }
})

describe('decoded memory is given back', () => {
  const { memory } = kernelChoice().kernel!
  const read = (bytes: Uint8Array) => async () => {
    await readParquet(bytes)
  }
  const readBeginning = (bytes: Uint8Array) => async () => {
    const reader = openUnitReader(planOf([chunkOf(bytes)]), async () => countingAccess(bytes), noValueSet)
    await reader.next()
    await reader.close()
  }
  const readDamaged = (bytes: Uint8Array) => async () => {
    const damaged = Uint8Array.from(bytes).fill(0, 20_000, 30_000)
    await expect(readParquet(damaged)).rejects.toMatchObject({ code: 'file_corrupt' })
  }

  test.each([
    ['at the end', read],
    ['where reading ends early', readBeginning],
    ['where a page is damaged', readDamaged],
  ])('%s', async (_, reading) => {
    const bytes = await parquetFile('SELECT md5(i::VARCHAR) || i AS s, i % 5 AS n FROM range(20000) r(i)')
    const round = reading(bytes)
    await round()
    const before = memory.buffer.byteLength
    for (let rounds = 0; rounds < 30; rounds++) await round()
    expect(memory.buffer.byteLength).toBe(before)
  })

  test('by parquet-wasm', async () => {
    const { wasmMemory } = await import('parquet-wasm/node')
    const bytes = await parquetFile("SELECT [repeat('x' || i, 50)] AS l FROM range(20000) r(i)")
    await readParquet(bytes)
    const before = wasmMemory().buffer.byteLength
    for (let round = 0; round < 10; round++) await readParquet(bytes)
    expect(wasmMemory().buffer.byteLength).toBe(before)
  })
})

test('a wide string that all rows share takes the budget once', async () => {
  const bytes = await parquetFile("SELECT repeat('x', 20000) AS s FROM range(20000)", 'ROW_GROUP_SIZE 20480')
  const access = countingAccess(bytes)
  const file = await openFileBytes(chunkOf(bytes), async () => access, new AbortController().signal)
  const plan = { spanRows: 1000, rowGroupBudgetBytes: 1 << 19 }
  let rows = 0
  for await (const part of parquetParts(chunkOf(bytes), file, plan)) {
    for await (const slice of part.decode(0)) rows += slice.use(batch => batch.numRows)
  }
  expect(rows).toBe(20_000)
})

describe('a read that fails', () => {
  const failing = (bytes: Uint8Array, fails: (read: number) => boolean): RandomAccess => {
    let reads = 0
    return {
      byteLength: bytes.length,
      async read(start, end) {
        if (fails(reads++)) throw new SourceError('the bucket is gone')
        return bytes.slice(start, end)
      },
    }
  }

  test('is the error that it is, wherever it happens, and leaves the decoder in order', async () => {
    // longer than what is read for the footer, which would be the whole file
    const bytes = await parquetFile('SELECT i, md5(i::VARCHAR) AS m FROM range(5000) r(i)', 'ROW_GROUP_SIZE 2048')
    const read = async (access: RandomAccess): Promise<number> =>
      (await readUnit(openUnitReader(planOf([chunkOf(bytes)]), async () => access, noValueSet))).spans.length
    for (let failed = 0; failed < 4; failed++) {
      await expect(read(failing(bytes, number => number === failed))).rejects.toMatchObject({
        message: 'the bucket is gone',
      })
    }
    expect(await read(failing(bytes, () => false))).toBe(7)
  })
})

describe('damage', () => {
  let bytes: Uint8Array
  let footerBytes: number
  let reader: DamagedFiles

  beforeAll(async () => {
    bytes = await parquetFile(
      "SELECT i, 's' || i AS s, i * 1.5 AS d, [i] AS l, (i * 1.5)::DECIMAL(38, 6) AS dec FROM range(5000) r(i)",
      'ROW_GROUP_SIZE 2048',
    )
    footerBytes = new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 8, true)
    reader = new DamagedFiles('parquet')
    return () => reader.close()
  })

  test.each(['not a Parquet file at all', '', 'PAR1'])('%j is no Parquet file', async text => {
    const { code, message, trap } = await reader.read(Buffer.from(text))
    expect({ code, trap }).toEqual({ code: 'file_corrupt', trap: false })
    expect(message).toMatch(/^the staged file "file-0" .*: stage it again$/)
  })

  test('in a page is an error with the file and the trap, while other files of the thread are only lost', async () => {
    const damaged = Uint8Array.from(bytes).fill(0, 100, 2000)
    const [culprit, other] = await reader.readTogether([damaged, bytes])
    expect(culprit).toMatchObject({ code: 'file_corrupt', trap: true })
    expect(culprit!.message).toContain('"file-0"')
    expect(other).toMatchObject({ code: 'lane_lost', trap: true })
  })

  test('anywhere ends in rows or in an error that names the file', async () => {
    let traps = 0
    for (let seed = 0; seed < 24; seed++) {
      const { rows, code, message, trap } = await reader.read(damage(bytes, footerBytes, seed))
      if (trap) traps++
      if (code === undefined) expect(rows).toBe(5000)
      else expect({ code, message }).toEqual({ code: 'file_corrupt', message: expect.stringContaining('"file-0"') })
    }
    expect(traps).toBeGreaterThan(2)
  })

  test('anywhere in flat columns does so without a trap', async () => {
    const columns = `CASE WHEN i % 7 > 0 THEN md5((i % 50)::VARCHAR) END AS s, 'x' || i AS u, i, i % 2 = 0 AS b,
      CASE WHEN i % 3 > 0 THEN i * 1.5 END AS d, (i % 5)::DECIMAL(9, 2) AS dec`
    const files = ['V1, COMPRESSION uncompressed', 'V1, COMPRESSION lz4_raw', 'V2, COMPRESSION snappy'].map(options =>
      parquetFile(`SELECT ${columns} FROM range(600) r(i)`, `PARQUET_VERSION ${options}, DICTIONARY_SIZE_LIMIT 100`),
    )
    const outcomes: Record<string, number> = {}
    for (let seed = 0; seed < 300; seed++) {
      const random = randomNumbers(seed)
      const damaged = Uint8Array.from(await files[seed % files.length]!)
      const end = damaged.length - 8 - new DataView(damaged.buffer).getUint32(damaged.length - 8, true)
      flipBits(damaged, random, 4, end, 1 + random(4))
      const outcome = await readParquet(damaged).then(
        ({ spans }) => `${spans.reduce((sum, { rows }) => sum + rows, 0)} rows`,
        error => `${error.code} ${error.message.includes('"file-0"')}`,
      )
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    }
    expect(Object.keys(outcomes).toSorted()).toEqual(['600 rows', 'file_corrupt true'])
  })
})

/** Mostly flipped bits in the footer and ends cut off, which are told without a trap and so without a new thread. */
function damage(bytes: Uint8Array, footerBytes: number, seed: number): Uint8Array {
  const random = randomNumbers(seed)
  const damaged = Uint8Array.from(bytes)
  const footer = bytes.length - 8 - footerBytes
  const pages = { start: 4, end: footer - 1300 }
  const at = pages.start + random(pages.end - pages.start)
  switch (seed % 12) {
    case 0:
      return flipBits(damaged, random, 4, footer, 8)
    case 1:
      return damaged.fill(0, at, at + 256)
    case 2:
      return Uint8Array.from([...damaged.slice(0, at), ...damaged.slice(at + 1 + random(1000))])
    default:
      return seed % 2 === 0
        ? damaged.slice(0, random(bytes.length))
        : flipBits(damaged, random, footer, footer + footerBytes, 3)
  }
}
