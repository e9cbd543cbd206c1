import { describe, expect, it } from 'vitest'
import { partitionOf } from '../../src/columnar/murmur2.ts'
import {
  type Encoding,
  type MessageBatch,
  rowBytes,
  type Sink,
  type SinkContext,
  type SinkSession,
} from '../../src/sinks/sink.ts'
import { testSink } from '../../src/testing/sink.ts'
import { readWithPlatformatic } from '../columnar/kafka-records.ts'

interface Destination {
  readonly rows: string[]
}

describe('testSink', () => {
  it('passes a sink that keeps the contract, with and without a commit', async () => {
    expect(await failures(rows => ({ write: async batch => void rows.push(...texts(batch)) }))).toEqual([])
    expect(await failures(rows => committing(rows))).toEqual([])
  })

  it.each<[string, (rows: string[]) => SinkSession, RegExp]>([
    [
      'loses a batch',
      rows => ({ ...honest(rows), write: async batch => void (rows.length < 500 && rows.push(...texts(batch))) }),
      /did not arrive/,
    ],
    [
      'delivers a batch twice',
      rows => ({ ...honest(rows), write: async batch => void rows.push(...texts(batch), ...texts(batch)) }),
      /that should not have, or twice/,
    ],
    [
      'damages text',
      rows => ({ ...honest(rows), write: async batch => void rows.push(...texts(batch, 'latin1')) }),
      /did not arrive/,
    ],
    [
      'resolves before it has used the bytes',
      rows => ({ ...honest(rows), write: async batch => void setImmediate(() => rows.push(...texts(batch))) }),
      /did not arrive/,
    ],
    [
      'takes the whole buffer for the bytes',
      rows => ({
        ...honest(rows),
        write: async batch => void rows.push(...texts({ ...batch, bytes: new Uint8Array(batch.bytes.buffer) })),
      }),
      /did not arrive/,
    ],
    ['writes when it is closed', rows => ({ ...honest(rows), close: async () => void rows.push('{}') }), /or twice/],
    ['commits nothing', rows => ({ ...committing(rows), commit: async () => {} }), /did not arrive/],
    [
      'shows rows before the commit',
      rows => ({ ...honest(rows), commit: async () => {}, abort: async () => {} }),
      /twice/,
    ],
    ['asks for a column that is not there', rows => ({ ...honest(rows), asks: { columns: ['nope'] } }), /column nope/],
    ['cannot read JSON arrays', rows => ({ ...honest(rows), encoding: { kind: 'json-array' } }), /did not arrive/],
  ])('fails a sink that %s', async (_, session, message) => {
    const failed = await failures(session)
    expect(failed.map(error => error.message).join('\n')).toMatch(message)
  })

  it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)(
    'passes a sink that takes Kafka record batches (%s), each for one partition',
    async compression => {
      const seen = new Map<string | null, Set<number>>()
      const failed = await failures(rows => ({
        encoding: kafka({ key: 'key', compression }),
        async write(batch) {
          const { records } = readWithPlatformatic(batch.bytes)
          expect([records.length, batch.ends.length]).toEqual([batch.rows, 0])
          rows.push(...records.map(({ value }) => value))
          for (const { key } of records) seen.set(key, (seen.get(key) ?? new Set()).add(batch.partition!))
        },
      }))
      expect(failed).toEqual([])
      expect(seen.get(null)!.size).toBe(3)
      seen.delete(null)
      expect([...seen.keys()].toSorted()).toEqual(Array.from({ length: 7 }, (_, key) => `key-${key}`))
      for (const [key, partitions] of seen) expect([...partitions]).toEqual([partitionOf(Buffer.from(key!), 3)])
    },
  )

  it('fails a sink whose record batches are too small for the rows', async () => {
    const small = await failures(() => ({ encoding: kafka({ maxBatchBytes: 50_000 }), write: async () => {} }))
    expect(small.map(error => error.message).join('\n')).toMatch(
      /does not take a row of the tests: .*max.message.bytes = 50000/,
    )
  })

  it.each<Encoding>([{ kind: 'json-array' }, kafka({ key: 'id', compression: 'gzip' })])(
    'lets a sink with the encoding $kind cut its batches apart',
    async encoding => {
      const parts: MessageBatch[] = []
      const failed = await failures((rows, _, { reframe }) => ({
        encoding,
        async write(batch) {
          const all = Array.from({ length: batch.rows }, (_, row) => row)
          const groups = [all.filter(row => row % 3 === 0), all.filter(row => row % 3 !== 0)].filter(
            ({ length }) => length > 0,
          )
          for (const part of await reframe(batch, groups)) {
            parts.push(part)
            if (encoding.kind === 'kafka-batch')
              rows.push(...readWithPlatformatic(part.bytes).records.map(({ value }) => value))
            else
              rows.push(
                ...(JSON.parse(Buffer.from(part.bytes).toString()) as unknown[]).map(row => JSON.stringify(row)),
              )
          }
        },
      }))
      expect(failed).toEqual([])
      for (const { rows, spans } of parts) expect(spans.reduce((sum, span) => sum + span.rows, 0)).toBe(rows)
      const partitions = new Set(parts.map(({ partition }) => partition))
      expect(partitions).toEqual(new Set(encoding.kind === 'kafka-batch' ? [0, 1, 2] : [undefined]))
    },
  )

  it('fails a sink whose probe changes something', async () => {
    const [probe] = testSink(
      options((rows, probing) => {
        if (probing) rows.push('{}')
        return honest(rows)
      }),
    )
    await expect(probe?.run()).rejects.toThrow('1 arrived that should not have')
  })

  it('hands out names and columns that were asked for', async () => {
    const seen = new Map<string, string>()
    const failed = await failures(rows => ({
      ...honest(rows),
      asks: { ids: true, columns: ['key', 'id'] },
      async write(batch) {
        rows.push(...texts(batch))
        const { key, id } = batch.columns ?? {}
        for (let row = 0; row < batch.rows; row++)
          if (key?.nulls[row] === 1) seen.set(text(batch.ids!, row).replace(/^.{36}/, ''), text(id!, row))
      },
    }))
    expect(failed).toEqual([])
    expect([...seen].slice(0, 2)).toEqual([
      ['-0-9', '9'],
      ['-0-19', '19'],
    ])
  })

  it('disposes of every sink', async () => {
    const disposed: Sink[] = []
    const tests = testSink({ ...options(honest), dispose: async sink => void disposed.push(sink) })
    for (const { run } of tests) await run()
    expect(new Set(disposed).size).toBe(tests.length)
  })
})

async function failures(session: MakeSession): Promise<Error[]> {
  const failed: Error[] = []
  for (const { run } of testSink(options(session))) await run().catch((error: Error) => failed.push(error))
  return failed
}

type MakeSession = (rows: string[], probe: boolean, context: SinkContext) => Partial<SinkSession>

function kafka(options: Partial<Extract<Encoding, { kind: 'kafka-batch' }>>): Encoding {
  return { kind: 'kafka-batch', partitions: 3, timestamp: 'now', headers: {}, compression: 'none', ...options }
}

function options(session: MakeSession) {
  return {
    manyRows: 2_000,
    create(): Sink & Destination {
      const rows: string[] = []
      return {
        type: 'test',
        name: 'test',
        rows,
        open: async context => ({
          write: async () => {},
          close: async () => {},
          ...session(rows, context.probe, context),
        }),
      }
    },
    read: async ({ rows }: Destination) => rows,
  }
}

function honest(rows: string[]): SinkSession {
  return { write: async batch => void rows.push(...texts(batch)), close: async () => {} }
}

function committing(rows: string[]): SinkSession {
  const open = new Map<string, string[]>()
  return {
    begin: async unit => void open.set(unit.id, []),
    write: async batch => void open.get(batch.unit)!.push(...texts(batch)),
    commit: async unit => void rows.push(...open.get(unit.id)!.splice(0)),
    abort: async unit => void open.delete(unit.id),
    close: async () => open.clear(),
  }
}

function texts(batch: MessageBatch, encoding: BufferEncoding = 'utf8'): string[] {
  return Array.from({ length: batch.rows }, (_, row) => Buffer.from(rowBytes(batch, row)).toString(encoding))
}

function text(column: Pick<MessageBatch, 'bytes' | 'ends'>, row: number): string {
  return Buffer.from(rowBytes(column, row)).toString()
}
