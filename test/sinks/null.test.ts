import { describe, expect, it } from 'vitest'
import { nullSink } from '../../src/sinks/null.ts'
import { testSink } from '../../src/testing/sink.ts'
import { deliver, openSession, testJob, testRows, testUnit } from '../../src/testing/sink-driver.ts'

describe('nullSink keeps the contract as far as it applies', () => {
  const tests = testSink({ create: () => nullSink({ name: 'test' }) })
  it.each(tests)('$name', async ({ run }) => run())
})

describe('nullSink', () => {
  it('counts rows and payload bytes', async () => {
    const sink = nullSink({ name: 'test' })
    expect(sink).toMatchObject({ type: 'null', name: 'test' })
    expect(sink.received()).toEqual({ rows: 0, bytes: 0 })
    const job = testJob(sink)
    const rows = testRows(1_234)
    await deliver(await openSession(job), testUnit(job, 0), rows)
    const bytes = rows.reduce((sum, row) => sum + Buffer.byteLength(row.json), 0)
    expect(sink.received()).toEqual({ rows: 1_234, bytes })
  })
})
