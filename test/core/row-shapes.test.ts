/** What the engine makes of `rows` in a registration, from the staged file to dead letters that are sent again. */
import { tableFromIPC } from 'apache-arrow'
import { describe, expect, test } from 'vitest'
import { DeliveryError } from '../../src/core/errors.ts'
import { type MessageBatch, rowBytes, textBytes } from '../../src/sinks/sink.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { allNumbers } from './number-jobs.ts'
import { decode, engineOf, finished, lettersOf, picky, ROWS, useEngines } from './picky-sink.ts'

useEngines()

const MODULE = new URL('./row-transforms.ts', import.meta.url).href

function rowsOf(batches: readonly MessageBatch[]): string[] {
  return batches.flatMap(batch => Array.from({ length: batch.rows }, (_, row) => decode(rowBytes(batch, row))))
}

describe('the rows of a destination', () => {
  test('have the columns, names and forms that its registration says, and others have their own', async () => {
    const [shaped, plain] = [picky('shaped', []), picky('plain', [])]
    const rows = { columns: ['word', { column: 'id', as: 'number' }], integers: 'string' } as const
    const engine = engineOf([{ sink: shaped.sink, rows }, plain.sink])
    await finished(engine, shaped.sink, plain.sink)
    expect(rowsOf(shaped.batches).slice(0, 2)).toEqual(['{"word":"zero","number":"0"}', '{"word":"one","number":"1"}'])
    expect(rowsOf(shaped.batches)).toHaveLength(ROWS)
    expect(rowsOf(plain.batches)[0]).toBe('{"id":0,"word":"zero"}')
  })

  test('may lack a column that the sink asks for, which is found under its own name', async () => {
    const asks = { ids: true, columns: ['id'] }
    const out = picky('out', [], { asks })
    await finished(engineOf([{ sink: out.sink, rows: { columns: [{ column: 'word', as: 'id' }] } }]), out.sink)
    const [first] = out.batches
    expect(decode(rowBytes(first!, 1))).toBe('{"id":"one"}')
    expect(decode(textBytes(first!.columns!['id']!, 1)!)).toBe('1')
  })

  test('are the data of events under their own names', async () => {
    const out = picky('out', [])
    const cloudEvents = { type: 'com.example.number', source: '/numbers', subject: 'word' }
    const job = await finished(engineOf([{ sink: out.sink, rows: { cloudEvents, columns: ['id'] } }]), out.sink)
    const attributes =
      '"specversion":"1.0","type":"com.example.number","source":"/numbers","datacontenttype":"application/json"'
    expect(rowsOf(out.batches)[4]).toBe(`{${attributes},"id":"${job.job_id}-1-1","subject":"four","data":{"id":4}}`)
    expect(out.contexts.at(-1)!.cloudEvents).toEqual({
      mode: 'structured',
      type: 'com.example.number',
      source: '/numbers',
    })
  })

  test('that are events by their headers need a sink that can send these', async () => {
    const out = picky('out', [])
    const rows = { cloudEvents: { mode: 'binary', type: 't', source: 's' } } as const
    expect(() => engineOf([{ sink: out.sink, rows }])).toThrow(
      'sinks[0].rows.cloudEvents.mode: picky sinks have no binary mode',
    )
    const able = { ...out.sink, binaryCloudEvents: true }
    await finished(engineOf([{ sink: able, rows }]), out.sink)
    expect(rowsOf(out.batches)[1]).toBe('{"id":1,"word":"one"}')
    expect(out.contexts.at(-1)!.cloudEvents).toEqual({ mode: 'binary', type: 't', source: 's' })
  })

  test('are chosen columns and no more where the sink takes Arrow, and what it refuses is kept as JSON', async () => {
    const out = picky('out', [], {
      encoding: { kind: 'arrow-stream' },
      async write(batch) {
        const rows = tableFromIPC(batch.bytes).toArray()
        out.batches.push(batch)
        taken.push(...rows.map(row => String(row['name'])))
        if (batch.spans.some(({ chunk }) => chunk === 2)) throw new DeliveryError('not this one', { retryable: false })
      },
    })
    const taken: string[] = []
    const columns = [{ column: 'word', as: 'name' }]
    const engine = engineOf([{ sink: out.sink, rows: { columns } }])
    const job = await finished(engine, out.sink)
    expect(job.destinations[0]).toMatchObject({ delivered: ROWS - 4, dead_lettered: 4 })
    expect(taken.slice(0, 4)).toEqual(['zero', 'one', 'two', 'three'])
    expect(taken).toHaveLength(ROWS)
    const payloads = (await lettersOf(engine, job)).map(({ payload }) => payload)
    expect(payloads).toEqual(
      [200, 201, 202, 203].map((id, index) => JSON.stringify({ id, word: ['zero', 'one', 'two', 'three'][index] })),
    )
    await expect(engine.redrive(job.job_id, out.to)).rejects.toMatchObject({ code: 'conflict' })

    const misfit = engineOf([{ sink: out.sink, rows: { columns, nulls: 'omit' } }], { store: memoryStore() })
    expect(await finished(misfit, out.sink)).toMatchObject({
      error_code: 'destination_misconfigured',
      error_message: expect.stringContaining(
        'the sink takes Arrow, for which of its rows only columns may be chosen, and not nulls',
      ),
    })
  })

  test('must fit the table, or the job is not made', async () => {
    const out = picky('out', [])
    const engine = engineOf([{ sink: out.sink, rows: { columns: ['words'] } }])
    await expect(engine.create(allNumbers(out.sink))).rejects.toMatchObject({
      problems: [
        { path: 'destinations[0]', message: 'picky/out names the column "words", which the table does not have' },
      ],
    })
  })
})

describe('dead letters of rows with a shape', () => {
  test('are the rows as they were staged, and take the shape of the day when they are sent again', async () => {
    const out = picky('out', [])
    const refuses = { ...out.sink }
    const rows = { columns: ['word'] } as const
    const store = memoryStore()
    const refusing = {
      ...refuses,
      open: async (...args: Parameters<typeof refuses.open>) => {
        const session = await refuses.open(...args)
        return {
          ...session,
          asks: { columns: ['id'] },
          async write(...[batch, signal]: Parameters<typeof session.write>) {
            out.refuses = new Set() // by its rows, which show no id
            const failed = [5, 150].filter(id => idsBeside(batch).includes(id))
            if (failed.length === 0) return session.write(batch, signal).catch(() => {})
            const causes = failed.map(id => [idsBeside(batch).indexOf(id), new Error('no')] as const)
            throw new DeliveryError('some were refused', { failed: new Map(causes), rest: 'delivered' })
          },
        }
      },
    }
    const job = await finished(engineOf([{ sink: refusing, rows }], { store }), out.sink)
    expect(job.destinations[0]).toMatchObject({ delivered: ROWS - 2, dead_lettered: 2 })
    const engine = engineOf([{ sink: out.sink, rows: { columns: ['id'], integers: 'string' } }], { store })
    expect(await lettersOf(engine, job)).toMatchObject([
      { chunk: 1, row: 2, payload: '{"id":5,"word":"five"}' },
      { chunk: 1, row: 147, payload: '{"id":150,"word":"zero"}' },
    ])
    out.batches.length = 0
    expect(await engine.redrive(job.job_id, out.to)).toEqual({ redriven: 2, refused: 0 })
    expect(rowsOf(out.batches)).toEqual(['{"id":"5"}', '{"id":"150"}'])
  })
})

function idsBeside(batch: MessageBatch): number[] {
  return Array.from({ length: batch.rows }, (_, row) => Number(decode(textBytes(batch.columns!['id']!, row)!)))
}

describe('a transform', () => {
  const transform = { module: MODULE, export: 'pick' }
  // of 204 rows: 68 are left out, 7, 8 and 10 are refused
  const kept = Array.from({ length: ROWS }, (_, id) => id).filter(id => id % 3 !== 0 && ![7, 8, 10].includes(id))

  test('makes other rows, leaves some out and refuses some, and every row is accounted for', async () => {
    const out = picky('out', [])
    const engine = engineOf([{ sink: out.sink, rows: { transform } }])
    const job = await finished(engine, out.sink)
    const rows = rowsOf(out.batches)
    expect(rows).toHaveLength(kept.length)
    expect(rows[0]).toBe('{"word":"ONE","big":1152921504606846977,"nested":{"id":1,"list":[1]}}')
    const receipt = await engine.receipt(job.job_id)
    expect(receipt.destinations[0]).toMatchObject({
      delivered: kept.length,
      filtered: 68,
      dead_lettered: 3,
      differences: [],
    })
    const letters = await lettersOf(engine, job)
    expect(letters).toMatchObject([
      {
        chunk: 1,
        row: 4,
        payload: '{"id":7,"word":"seven"}',
        cause: 'the transform failed: seven and eight are not wanted',
      },
      {
        chunk: 1,
        row: 5,
        payload: '{"id":8,"word":"eight"}',
        cause: 'the transform failed: seven and eight are not wanted',
      },
      {
        chunk: 1,
        row: 7,
        payload: '{"id":10,"word":"zero"}',
        cause: 'the transform failed: it returned undefined, neither a plain object nor null',
      },
    ])
  })

  test('is inside of events, keys and names are those of the row that it was given', async () => {
    const out = picky('out', [], { asks: { ids: true, columns: ['word'] }, encoding: { kind: 'ndjson' } })
    const cloudEvents = { type: 't', source: 's', subject: 'id' }
    const job = await finished(engineOf([{ sink: { ...out.sink }, rows: { transform, cloudEvents } }]), out.sink)
    const [batch] = out.batches
    expect(decode(textBytes(batch!.columns!['word']!, 1)!)).toBe('two')
    expect(decode(textBytes(batch!.ids!, 1)!)).toBe(`${job.job_id}-0-2`)
    expect(JSON.parse(rowsOf(out.batches)[1]!)).toEqual({
      specversion: '1.0',
      type: 't',
      source: 's',
      datacontenttype: 'application/json',
      id: `${job.job_id}-0-2`,
      subject: '2',
      data: { word: 'TWO', big: 2 ** 60, nested: { id: 2, list: [2] } },
    })
  })

  test('that was mended takes what it refused before, and what it leaves out now stays a dead letter', async () => {
    const out = picky('out', [])
    const store = memoryStore()
    const job = await finished(engineOf([{ sink: out.sink, rows: { transform } }], { store }), out.sink)
    out.batches.length = 0
    const mended = { transform: { module: MODULE, export: 'keep' } }
    const engine = engineOf([{ sink: out.sink, rows: mended }], { store })
    expect(await engine.redrive(job.job_id, out.to)).toEqual({ redriven: 3, refused: 0 })
    expect(rowsOf(out.batches)).toEqual([
      '{"id":7,"word":"seven"}',
      '{"id":8,"word":"eight"}',
      '{"id":10,"word":"zero"}',
    ])
  })

  test('may not be asynchronous, and what it returns is not waited for', async () => {
    const out = picky('out', [])
    const rows = { transform: { module: MODULE, export: 'late' } }
    const engine = engineOf([{ sink: out.sink, rows }], { delivery: { maxDeadLetters: 0 } })
    const job = await finished(engine, out.sink)
    expect(job).toMatchObject({
      status: 'failed',
      error_message: expect.stringContaining('the transform failed: it returned an instance of Promise'),
    })
    expect(out.batches).toEqual([])
  })

  test.each([0, 1])('that cannot be imported is told before anything is staged (%i lanes)', async lanes => {
    const out = picky('out', [])
    const failing = async (transform: { module: string; export: string }) => {
      const engine = engineOf([{ sink: out.sink, rows: { transform } }], { lanes, store: memoryStore() })
      return finished(engine, out.sink)
    }
    const nowhere = await failing({ module: '/nowhere/rows.js', export: 'change' })
    expect(nowhere).toMatchObject({
      status: 'failed',
      num_chunks: null,
      error_code: 'destination_misconfigured',
      error_message: expect.stringContaining("the transform's module /nowhere/rows.js cannot be imported"),
    })
    expect(await failing({ module: MODULE, export: 'notAFunction' })).toMatchObject({
      error_message: expect.stringContaining('exports no function "notAFunction"'),
    })
  })
})
