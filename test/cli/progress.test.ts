import { describe, expect, it } from 'vitest'
import { outcomeText, ProgressMeter, progressLine } from '../../src/cli/progress.ts'
import { sampleDestination, sampleJob } from './job.ts'

describe('ProgressMeter', () => {
  it('takes its rates from what was delivered since it began to look', () => {
    const meter = new ProgressMeter()
    expect(meter.update(at(1_000_000, 40), 5_000)).toMatchObject({
      rows: 1_000_000,
      rowsPerSecond: 0,
      etaMs: undefined,
    })
    expect(meter.update(at(1_500_000, 30), 7_000)).toMatchObject({
      rows: 1_500_000,
      rowsPerSecond: 250_000,
      bytesPerSecond: 2_500_000,
      fraction: 0.25,
      etaMs: 6_000,
    })
  })

  it('forgets what is longer ago than ten seconds, for rates but not for the time to go', () => {
    const meter = new ProgressMeter()
    meter.update(at(0, 40), 0)
    meter.update(at(10_000, 30), 1_000)
    for (let second = 2; second <= 20; second++) meter.update(at(10_000, 30), second * 1_000)
    expect(meter.update(at(10_000, 30), 21_000)).toMatchObject({ rowsPerSecond: 0, etaMs: 63_000 })
  })

  it('does not count staging as time to deliver', () => {
    const meter = new ProgressMeter()
    const staging = sampleJob({
      status: 'staging',
      num_chunks: null,
      chunks_left: null,
      destinations: [sampleDestination({ delivered: 0, bytes: 0, chunks_left: null })],
    })
    expect(meter.update(staging, 0)).toMatchObject({ fraction: 0, rowsPerSecond: 0 })
    meter.update(staging, 60_000)
    meter.update(at(0, 40), 60_100)
    const progress = meter.update(at(1_000, 20), 61_100)
    expect(progress.etaMs).toBe(1_000)
    expect(progress.rowsPerSecond).toBeGreaterThan(900)
  })

  it('adds up destinations, and leaves failed ones out of the share', () => {
    const job = sampleJob({
      num_chunks: 10,
      destinations: [
        sampleDestination({ delivered: 10, bytes: 1, chunks_left: 4 }),
        sampleDestination({ delivered: 20, bytes: 2, chunks_left: 8 }),
        sampleDestination({ delivered: 30, bytes: 3, chunks_left: 10, status: 'failed' }),
      ],
    })
    const progress = new ProgressMeter().update(job, 0)
    expect(progress).toMatchObject({ rows: 60, bytes: 6 })
    expect(progress.fraction).toBeCloseTo(0.4)
  })
})

describe('progressLine', () => {
  it('says what is delivered, how fast, and what is left', () => {
    const meter = new ProgressMeter()
    meter.update(at(0, 40), 0)
    expect(progressLine(meter.update(at(500_000, 30), 2_000))).toBe(
      'transporting: 500 K rows, 250 K rows/s, 2.5 MB/s, 30 of 40 chunks left, about 6 s to go',
    )
  })

  it('says nothing of rates and chunks before there are any', () => {
    const staging = sampleJob({ status: 'staging', num_chunks: null, chunks_left: null })
    expect(progressLine(new ProgressMeter().update(staging, 0))).toBe('staging')
    expect(progressLine(new ProgressMeter().update(at(0, 40), 0))).toBe('transporting: 0 rows, 40 of 40 chunks left')
  })

  it('says that the job is to be cancelled until it is, or paused', () => {
    const line = (job: ReturnType<typeof sampleJob>) => progressLine(new ProgressMeter().update(job, 0))
    expect(line({ ...at(0, 40), cancel_requested: true })).toMatch(/^transporting, cancelling: /)
    expect(line({ ...at(0, 40), paused: true })).toMatch(/^transporting, paused: /)
    expect(line({ ...at(0, 40), paused: true, cancel_requested: true })).toMatch(/^transporting, cancelling: /)
    expect(line({ ...at(0, 40), cancel_requested: true, status: 'cancelled' })).toMatch(/^cancelled: /)
  })
})

describe('outcomeText', () => {
  it('tells of every destination', () => {
    const job = sampleJob({
      status: 'failed',
      error_message: 'kafka/rows: no leader',
      time_completed: '2026-03-01T12:00:12.340Z',
      destinations: [
        sampleDestination({ filtered: 10, dead_lettered: 2 }),
        sampleDestination({
          type: 'kafka',
          name: 'rows',
          status: 'failed',
          error_message: 'no leader',
          delivered: 0,
          bytes: 0,
        }),
      ],
    })
    expect(outcomeText(job)).toBe(
      [
        'failed after 12.3 s: kafka/rows: no leader',
        '  file:out: 1,234,567 rows (45.2 MB) delivered, 10 filtered out, 2 refused for good',
        '  kafka:rows: 0 rows (0 B) delivered, failed',
        '',
      ].join('\n'),
    )
  })
})

function at(delivered: number, chunks_left: number) {
  return sampleJob({
    num_chunks: 40,
    chunks_left,
    destinations: [sampleDestination({ delivered, bytes: delivered * 10, chunks_left })],
  })
}
