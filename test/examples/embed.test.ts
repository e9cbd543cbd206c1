import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import type { FastifyInstance } from 'fastify'
import type { Job } from 'millrace'
import { fileSink } from 'millrace/sinks/file'
import { duckdbSource } from 'millrace/sources/duckdb'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createService } from '../../examples/embed/service.ts'

let dir: string
let instance: DuckDBInstance
let app: FastifyInstance

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-embed-'))
  instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run(
    "CREATE TABLE flights AS SELECT DATE '2001-01-01' + (i % 60)::INTEGER AS date, i FROM range(600) r(i)",
  )
  connection.closeSync()
  app = createService({
    source: duckdbSource({
      database: instance,
      stagingDir: join(dir, 'staging'),
      tables: { flights: { partitionKeys: ['date'] } },
    }),
    sinks: [fileSink({ name: 'out', dir: join(dir, 'out') })],
    storePath: join(dir, 'service.sqlite'),
  })
})

afterEach(async () => {
  await app.close()
  instance.closeSync()
  await rm(dir, { recursive: true, force: true })
})

const payload = {
  table: 'flights',
  backfill_window: { start: '2001-01-10', end: '2001-01-20' },
  destinations: [{ type: 'file', name: 'out' }],
}

test('the service takes a backfill, answers how it is doing, and delivers it', async () => {
  const created = await app.inject({ method: 'POST', url: '/backfills', payload })
  expect(created.statusCode).toBe(201)
  const { job_id } = created.json<Job>()
  await expect
    .poll(async () => (await app.inject({ url: `/backfills/${job_id}` })).json<Job>().status, { timeout: 20_000 })
    .toBe('completed')
  const [file] = await readdir(join(dir, 'out'))
  const rows = (await readFile(join(dir, 'out', file!), 'utf8')).trimEnd().split('\n')
  expect(rows).toHaveLength(100)
  expect(rows[0]).toBe('{"date":"2001-01-10","i":9}')
  expect((await app.inject({ url: '/backfills' })).json<Job[]>().map(job => job.job_id)).toEqual([job_id])
})

test('errors have the status of the error table', async () => {
  const wrong = await app.inject({ method: 'POST', url: '/backfills', payload: { ...payload, table: 'flight' } })
  expect(wrong.statusCode).toBe(422)
  expect(wrong.json()).toEqual({
    error: 'invalid_request',
    message: 'table: unknown table flight; there is flights',
    problems: [{ path: 'table', message: 'unknown table flight; there is flights' }],
  })
  expect((await app.inject({ url: '/backfills/none' })).statusCode).toBe(404)
})
