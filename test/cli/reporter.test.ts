import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { createReporter, lineReporter } from '../../src/cli/reporter.ts'
import { sampleDestination, sampleJob } from './job.ts'

describe('createReporter', () => {
  it('prints the job as JSON on every change with --json, and nothing else on stdout', () => {
    const output = outputs()
    const reporter = createReporter(output, true)
    const job = sampleJob()
    const ended = sampleJob({ status: 'completed', chunks_left: 0 })
    reporter.note('job 1')
    for (const state of [job, job, ended]) reporter.update(state)
    reporter.end(ended)
    expect(read(output.stdout)).toBe(`${JSON.stringify(job)}\n${JSON.stringify(ended)}\n`)
    expect(read(output.stderr)).toBe('job 1\n')
  })

  it('draws a bar on a terminal', () => {
    const output = outputs(true)
    const reporter = createReporter(output, false)
    reporter.update(sampleJob({ num_chunks: 40, destinations: [sampleDestination({ chunks_left: 10 })] }))
    reporter.note('cancelling')
    reporter.end(sampleJob({ status: 'cancelled' }))
    const drawn = read(output.stderr)
    expect(drawn).toContain('[==================------] 75% transporting: 1.23 M rows, 12 of 40 chunks left')
    expect(drawn).toContain('\r\u001b[Kcancelling\n')
    expect(read(output.stdout)).toMatch(/^cancelled\n {2}file:out: 1,234,567 rows/)
  })
})

describe('lineReporter', () => {
  it('writes a line a second at most, only when something changed, and every new status', () => {
    const output = outputs()
    let now = 0
    const reporter = lineReporter(output, () => now)
    const steps: [atMs: number, job: ReturnType<typeof sampleJob>][] = [
      [0, sampleJob({ status: 'staging', num_chunks: null, chunks_left: null })],
      [10, sampleJob({ chunks_left: 40 })],
      [500, sampleJob({ chunks_left: 39 })],
      [1_500, sampleJob({ chunks_left: 38 })],
      [2_600, sampleJob({ chunks_left: 38 })],
      [2_700, sampleJob({ chunks_left: 0, status: 'completed' })],
    ]
    for (const [atMs, job] of steps) {
      now = atMs
      reporter.update(job)
    }
    reporter.end(sampleJob({ status: 'completed' }))
    expect(read(output.stderr).split('\n')).toEqual([
      'staging',
      'transporting: 1.23 M rows, 40 of 40 chunks left',
      'transporting: 1.23 M rows, 38 of 40 chunks left',
      'completed: 1.23 M rows, 0 of 40 chunks left',
      '',
    ])
    expect(read(output.stdout)).toMatch(/^completed\n/)
  })

  it('says nothing of an outcome that is not there', () => {
    const output = outputs()
    lineReporter(output).end(undefined)
    expect(read(output.stdout)).toBe('')
  })
})

function outputs(isTTY = false) {
  return { stdout: new PassThrough(), stderr: Object.assign(new PassThrough(), { isTTY, columns: 200 }) }
}

function read(stream: PassThrough): string {
  return stream.read()?.toString() ?? ''
}
