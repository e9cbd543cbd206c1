/** Object stores: S3 by moto, Google Cloud Storage by fake-gcs-server. */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { Storage } from '@google-cloud/storage'
import { describe, expect, it, test } from 'vitest'
import { type FilesSourceOptions, filesSource } from '../../../src/sources/files.ts'
import type { Source } from '../../../src/sources/source.ts'
import { sourceTestRows, testSource } from '../../../src/testing/source.ts'
import { readStagedLines } from '../../../src/testing/source-driver.ts'
import { describeWith } from '../../servers/need.ts'
import { never, runSql, scratch, sourceOf, stage, stageLines, writeParquet } from './folder.ts'

interface ObjectStore {
  /** Of a new bucket: `s3://b/`. */
  readonly place: string
  readonly options: Pick<FilesSourceOptions, 's3' | 'gcs'>
  put(key: string, bytes: Uint8Array | string): Promise<void>
}

await describeWith('moto', 'files in S3', ({ endpoint }) => {
  const credentials = { accessKeyId: 'AKIATESTTESTTEST', secretAccessKey: 'a-secret-of-tests' }

  async function create(): Promise<ObjectStore> {
    const client = new S3Client({ endpoint, region: 'us-east-1', credentials, forcePathStyle: true })
    const bucket = randomUUID()
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
    return {
      place: `s3://${bucket}/`,
      options: { s3: { endpoint, credentials } },
      async put(key, bytes) {
        await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: bytes }))
      },
    }
  }

  objectStore(create)

  it("are read by the host's own client", async () => {
    const store = await create()
    await put(store, 'a.parquet', 'SELECT 1 AS key')
    const client = new S3Client({ endpoint, region: 'us-east-1', credentials, forcePathStyle: true })
    expect(await stageLines(sourceOf(`${store.place}*`, { s3: { client } }))).toEqual(['{"key":1}'])
    expect(() => sourceOf('s3://b/a', { s3: { client, region: 'x' } })).toThrowError(/s3: all else must be given/)
  })

  it('that cannot be listed are an error of S3 without secrets', async () => {
    const source = sourceOf('s3://there-is-no-such-bucket/x/*', { s3: { endpoint, credentials } })
    const error = await source.describe('t', never()).catch(error => error)
    expect(error).toMatchObject({
      code: 'source_failed',
      retryable: false,
      message:
        'S3 bucket "there-is-no-such-bucket": NoSuchBucket (HTTP 404): check the name, the region and the endpoint',
    })
  })
})

await describeWith('gcs', 'files in Google Cloud Storage', ({ endpoint }) => {
  async function create(): Promise<ObjectStore> {
    const client = new Storage({ apiEndpoint: endpoint, projectId: 'test' })
    const [bucket] = await client.createBucket(randomUUID())
    return {
      place: `gs://${bucket.name}/`,
      options: { gcs: { endpoint, projectId: 'test' } },
      async put(key, bytes) {
        await bucket.file(key).save(Buffer.from(bytes), { resumable: false })
      },
    }
  }

  objectStore(create)

  it('that cannot be listed are an error of GCS', async () => {
    const source = sourceOf('gs://there-is-no-such-bucket/x/*', { gcs: { endpoint, projectId: 'test' } })
    await expect(source.describe('t', never())).rejects.toMatchObject({
      code: 'source_failed',
      retryable: false,
      message: expect.stringMatching(/^GCS bucket "there-is-no-such-bucket": HTTP 404: check the names/),
    })
  })
})

async function put(store: ObjectStore, key: string, query: string): Promise<void> {
  const path = await writeParquet(join(await scratch(), 'x.parquet'), query)
  await store.put(key, await readFile(path))
}

function objectStore(create: () => Promise<ObjectStore>): void {
  const rows = JSON.stringify(sourceTestRows()).replaceAll("'", "''")
  const shape = '[{"id": "BIGINT", "at": "TIMESTAMP", "name": "VARCHAR"}]'

  describe('the suite of sources', () => {
    let store: Promise<ObjectStore> | undefined

    async function fill(): Promise<ObjectStore> {
      const made = await create()
      await runSql(
        `CREATE TABLE IF NOT EXISTS test_rows AS SELECT unnest(from_json('${rows}', '${shape}'), recursive := true)`,
      )
      for (const [part, where] of ['id < 5000', 'id >= 5000'].entries())
        await put(made, `deep/${part}.parquet`, `SELECT * FROM test_rows WHERE ${where} ORDER BY "at"`)
      return made
    }

    async function source(): Promise<Source> {
      store ??= fill()
      const { place, options } = await store
      const files = { files: `${place}deep/*.parquet`, partitionKeys: ['at'], sortedBy: 'at' }
      return filesSource({ tables: { t: files }, ...options })
    }

    const tests = testSource({ create: source, table: 't', inPlace: true, dispose: async source => source.close?.() })
    for (const { name, run } of tests) test(name, run)
  })

  it('are those that a glob matches, over more than a page, in folders that are columns', async () => {
    const store = await create()
    await put(store, 'base/day=2001-01-01/a b+%.parquet', 'SELECT 1 AS key')
    await put(store, 'base/day=2001-01-02/b.parquet', 'SELECT 2 AS key')
    await put(store, 'base/day=2001-01-02/_temporary/b.parquet', 'SELECT 9 AS key')
    await put(store, 'base2/day=2001-01-02/b.parquet', 'SELECT 9 AS key')
    await store.put('base/day=2001-01-02/notes.txt', 'no Parquet')
    const others = Array.from({ length: 1_010 }, (_, index) => `base/a${index}.txt`)
    for (let at = 0; at < others.length; at += 50)
      await Promise.all(others.slice(at, at + 50).map(key => store.put(key, 'x')))
    const source = sourceOf(`${store.place}base/**/*.parquet`, store.options)
    const staged = await stage(source)
    expect(staged.files.map(({ name }) => name)).toEqual([
      `${store.place}base/day=2001-01-01/a b+%.parquet`,
      `${store.place}base/day=2001-01-02/b.parquet`,
    ])
    expect(JSON.stringify(staged)).not.toMatch(/secret|http|Signature/)
    expect(await readStagedLines(source, staged)).toEqual([
      '{"key":1,"day":"2001-01-01"}',
      '{"key":2,"day":"2001-01-02"}',
    ])
    await source.close?.()
  })

  it('may be single ones, and are errors where they are written again or removed', async () => {
    const store = await create()
    await put(store, 'a.parquet', 'SELECT 1 AS key')
    const source = sourceOf(`${store.place}a.parquet`, store.options)
    const staged = await stage(source)
    expect(await readStagedLines(source, staged)).toEqual(['{"key":1}'])
    await put(store, 'a.parquet', 'SELECT 2 AS key')
    await expect(readStagedLines(source, staged)).rejects.toMatchObject({ code: 'file_corrupt' })
    const [file] = staged.files
    await expect(
      readStagedLines(sourceOf(`${store.place}*`, store.options), {
        files: [{ ...file!, name: `${store.place}b.parquet` }],
      }),
    ).rejects.toMatchObject({ code: 'file_missing' })
    await expect(stage(sourceOf(`${store.place}b.parquet`, store.options))).rejects.toMatchObject({
      code: 'source_failed',
      message: expect.stringContaining('404'),
    })
    await source.close?.()
  })
}
