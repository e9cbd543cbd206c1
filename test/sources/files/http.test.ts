import { stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, test } from 'vitest'
import { createEngine } from '../../../src/core/engine.ts'
import { memorySink } from '../../../src/sinks/memory.ts'
import { filesSource } from '../../../src/sources/files.ts'
import { memoryStore } from '../../../src/stores/memory.ts'
import { readStagedLines } from '../../../src/testing/source-driver.ts'
import { serveFiles } from './file-server.ts'
import { scratch, sourceOf, stage, stageLines, writeParquet } from './folder.ts'

const DATA = fileURLToPath(new URL('../../../node_modules/vega-datasets/data/', import.meta.url))

test('a window and a filter over three million flights fetch less than a fifth of their bytes', async () => {
  const server = await serveFiles(DATA)
  const sink = memorySink({ name: 'out' })
  const files = `${server.url}/flights-3m.parquet`
  const engine = createEngine({
    source: filesSource({ tables: { flights: { files, partitionKeys: ['date'] } } }),
    sinks: [sink],
    store: memoryStore(),
    lanes: 1,
  })
  const { job_id } = await engine.create({
    table: 'flights',
    backfill_window: { start: '2001-01-01', end: '2001-02-01' },
    filter: { column: 'origin', values: ['SFO', 'OAK'] },
    destinations: [{ type: 'memory', name: 'out' }],
  })
  for await (const { status, error_message } of engine.watch(job_id))
    expect([status, error_message]).toEqual([expect.stringMatching(/staging|transporting|completed/), null])
  await engine.close()
  // counted by DuckDB
  expect(sink.texts()).toHaveLength(15_318)
  const fetched = server.ranges.reduce((sum, [start, end]) => sum + end - start, 0)
  const { size } = await stat(join(DATA, 'flights-3m.parquet'))
  expect(fetched / size).toBeLessThan(0.2)
  // its length, its footer twice, and two of eleven row groups
  expect(server.ranges).toHaveLength(7)
})

describe('a file behind a URL', () => {
  it('is asked for with its headers and its login, which nobody gets to see', async () => {
    const folder = await scratch()
    await writeParquet(join(folder, 'a.parquet'), 'SELECT 1 AS key')
    const server = await serveFiles(folder)
    const url = `${server.url.replace('//', '//ann:s%40cret@')}/a.parquet?token=secret`
    const source = sourceOf(url, { table: { headers: { 'x-key': 'secret' } } })
    const staged = await stage(source)
    expect(staged.files.map(({ name }) => name)).toEqual([`${server.url}/a.parquet`])
    expect(JSON.stringify(staged)).not.toMatch(/s.cret|ann/)
    expect(await readStagedLines(source, staged)).toEqual(['{"key":1}'])
    const authorization = `Basic ${Buffer.from('ann:s@cret').toString('base64')}`
    for (const headers of server.requests) expect(headers).toMatchObject({ 'x-key': 'secret', authorization })
    server.intercept = (_, response) => {
      response.writeHead(403).end()
      return true
    }
    const error = await stage(source).catch(error => error)
    expect(error).toMatchObject({
      code: 'source_failed',
      message: `the file "${server.url}/a.parquet" cannot be fetched (HTTP 403)`,
    })
  })

  it('that is written again after it was listed is an error', async () => {
    const folder = await scratch()
    const path = await writeParquet(join(folder, 'a.parquet'), 'SELECT 1 AS key')
    const source = sourceOf(`${(await serveFiles(folder)).url}/a.parquet`)
    const staged = await stage(source)
    await utimes(path, 1, 1)
    await expect(readStagedLines(source, staged)).rejects.toMatchObject({ code: 'file_corrupt' })
  })

  it('that the server gives only whole is an error', async () => {
    const server = await serveFiles(await scratch())
    server.intercept = (_, response) => {
      response.end('whole')
      return true
    }
    await expect(stageLines(sourceOf(`${server.url}/a.parquet`))).rejects.toMatchObject({
      code: 'source_failed',
      message: expect.stringContaining('ignores range requests'),
    })
  })

  it('is asked for again where the server is busy', async () => {
    const folder = await scratch()
    await writeParquet(join(folder, 'a.parquet'), 'SELECT 1 AS key')
    const server = await serveFiles(folder)
    server.intercept = (_, response) => {
      if (server.requests.length % 2 === 0) return false
      response.writeHead(503).end()
      return true
    }
    expect(await stageLines(sourceOf(`${server.url}/a.parquet`))).toEqual(['{"key":1}'])
  })

  it('cannot be told from another by its query, and has to be a URL', () => {
    expect(() => sourceOf(['https://h/a?b=1', 'https://h/a?b=2', 'https://h:x/'])).toThrowError(
      /^filesSource: tables\.t\.files\.1: differs .*; tables\.t\.files\.2: must be an http or https URL$/,
    )
  })
})
