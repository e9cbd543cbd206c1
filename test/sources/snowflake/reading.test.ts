import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ConnectionOptions } from 'snowflake-sdk'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { FileAccess, RandomAccess, Source, Staged } from '../../../src/sources/source.ts'
import { readStaged, stageRequest } from '../../../src/testing/source-driver.ts'
import type { SnowflakeServer } from '../../servers/snowflake/server.ts'
import { loginTo, never, sourceOn, startAccount, TEST_TABLE } from './account.ts'

let server: SnowflakeServer
let dir: string
beforeAll(async () => {
  server = await startAccount()
  server.stages.create('BASE.ASSETS.ENCRYPTED', 'INTERNAL')
  server.stages.create('BASE.ASSETS.BUCKET', 'EXTERNAL')
  dir = await mkdtemp(join(tmpdir(), 'millrace-spool-'))
})
afterAll(async () => {
  await server.stop()
  await rm(dir, { recursive: true, force: true })
})

const ROWS = 10_000

async function stageOn(source: Source, stagingId: string): Promise<Staged> {
  const request = await stageRequest(source, TEST_TABLE, { stagingId, fileBytes: 16 << 10 })
  return source.stage(request, undefined, async () => {}, never())
}

async function countIn(source: Source, staged: Staged): Promise<number> {
  const rows = await readStaged<{ id: number }>(source, staged)
  return new Set(rows.map(({ id }) => id)).size
}

describe('files are read', () => {
  it.each([
    ['@base.assets.exports/a/b', 'url'],
    ['@base.assets.exports', 'url'],
    ['@base.assets.bucket/x', 'url'],
    ['@base.assets.exports/c', 'download'],
    ['@base.assets.encrypted', 'download'],
    ['@~/x', undefined],
  ] as const)('from %s by %s', async (stage, reading) => {
    const spool = { dir: join(dir, `${stage}-${reading}`.replaceAll(/\W/g, '-')) }
    const source = sourceOn(server, { stage, spool, ...(reading ? { reading } : {}) })
    const staged = await stageOn(source, 'reading')
    const access: FileAccess = await source.access(staged.files[0]!, never())
    expect('url' in access).toBe(reading === 'url')
    expect(await countIn(source, staged)).toBe(ROWS)
    await source.discard('reading', undefined, never())
    expect(await readdir(spool.dir).catch(() => [])).toEqual([])
  })

  it('only in ranges behind a URL, whose life the options say', async () => {
    const source = sourceOn(server, { urlLifetimeSeconds: 600 })
    const { files } = await stageOn(source, 'ranges')
    const access = (await source.access(files[0]!, never())) as Extract<FileAccess, { url: string }>
    const left = Date.parse(access.expiresAt!) - Date.now()
    expect(left).toBeLessThanOrEqual(600_000)
    expect(left).toBeGreaterThan(500_000)
    const before = { ...server.served }
    await countIn(source, { files: [files[0]!] })
    expect(server.served.requests).toBeGreaterThan(before.requests)
    expect(server.served.bytes - before.bytes).toBeLessThan(2 * files[0]!.bytes)
  })

  it('not from an external stage by download, which Snowflake does not have', async () => {
    const source = sourceOn(server, { stage: '@base.assets.bucket', reading: 'download' })
    await expect(stageOn(source, 'no')).rejects.toThrow(
      'stage @"BASE"."ASSETS"."BUCKET" is external, and Snowflake downloads from internal ones only: set reading: \'url\'',
    )
  })
})

describe('the spool', () => {
  async function spooled(
    stagingId: string,
    filesHeld: number,
  ): Promise<{ source: Source; staged: Staged; at: string }> {
    const at = join(dir, stagingId)
    const probe = sourceOn(server, { stage: '@base.assets.encrypted/y', reading: 'download', spool: { dir: at } })
    const { files } = await stageOn(probe, `${stagingId}-probe`)
    const maxBytes = Math.max(...files.map(({ bytes }) => bytes)) * filesHeld + 100
    const source = sourceOn(server, {
      stage: '@base.assets.encrypted/x',
      reading: 'download',
      spool: { dir: at, maxBytes },
    })
    return { source, staged: await stageOn(source, stagingId), at }
  }

  it('holds no more than it may, and downloads again what it had to remove', async () => {
    const { source, staged, at } = await spooled('bounded', 2)
    expect(staged.files.length).toBeGreaterThan(3)
    for (let time = 0; time < 2; time++) {
      expect(await countIn(source, staged)).toBe(ROWS)
      expect((await readdir(at)).length).toBeLessThanOrEqual(2)
    }
    await source.discard('bounded', undefined, never())
    expect(await readdir(at)).toEqual([])
  })

  it('serves many readers at the same time, each the right bytes', async () => {
    const { source, staged } = await spooled('many', 2)
    const counts = await Promise.all(Array.from({ length: 4 }, () => countIn(source, staged)))
    expect(counts).toEqual([ROWS, ROWS, ROWS, ROWS])
  })

  it('takes no file that is larger than all of it, and says so', async () => {
    const { source, staged } = await spooled('tiny', 0)
    await expect(countIn(source, staged)).rejects.toMatchObject({
      code: 'invalid_config',
      message: expect.stringContaining('raise spool.maxBytes'),
    })
  })

  it('says that a file is gone, or is not what was staged', async () => {
    const { source, staged } = await spooled('gone', 9)
    const [first, second] = staged.files
    await rm(server.stages.fileOf(server.stages.read(`@"BASE"."ASSETS"."ENCRYPTED"/x/${first!.name}`)))
    const read = async (file: Staged['files'][number]) => {
      const access = (await source.access(file, never())) as RandomAccess
      return access.read(0, 4)
    }
    await expect(read(first!)).rejects.toMatchObject({ code: 'file_missing' })
    await expect(read({ ...second!, bytes: second!.bytes + 1 })).rejects.toThrow('bytes came where')
    expect(Buffer.from(await read(second!)).toString()).toBe('PAR1')
  })
})

describe('connections', () => {
  const client = async () => (await import('snowflake-sdk')).default as typeof import('snowflake-sdk')

  it('may be the host’s own, which stays open', async () => {
    const connection = (await client()).createConnection(loginTo(server))
    await connection.connectAsync()
    const source = sourceOn(server, { connection })
    expect(await countIn(source, await stageOn(source, 'own'))).toBe(ROWS)
    await source.close!()
    expect(await connection.isValidAsync()).toBe(true)
    await new Promise<void>(resolve => connection.destroy(() => resolve()))
  })

  it('may be a pool of the host’s', async () => {
    const pool = (await client()).createPool(loginTo(server), { max: 2 })
    const source = sourceOn(server, { connection: pool })
    const staged = await Promise.all(['a', 'b', 'c'].map(id => stageOn(source, `pool-${id}`)))
    for (const each of staged) expect(await countIn(source, each)).toBe(ROWS)
    await pool.drain()
    await pool.clear()
  })

  it('log in with a key pair', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', {
      modulusLength: 2_048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    })
    server.accounts.users.set('KEYED', { publicKey })
    onTestFinished(() => void server.accounts.users.delete('KEYED'))
    const connection: ConnectionOptions = {
      ...server.connection,
      username: 'keyed',
      authenticator: 'SNOWFLAKE_JWT',
      privateKey,
    }
    const source = sourceOn(server, { connection })
    expect((await source.describe(TEST_TABLE, never())).columns).toHaveLength(3)
    server.accounts.users.set('KEYED', {
      publicKey: generateKeyPairSync('rsa', {
        modulusLength: 2_048,
        publicKeyEncoding: { type: 'spki', format: 'pem' },
        privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      }).publicKey,
    })
    const refused = sourceOn(server, { connection }).describe(TEST_TABLE, never())
    await expect(refused).rejects.toThrow('cannot log in: Snowflake reports 390100')
    await expect(refused).rejects.not.toThrow('PRIVATE KEY')
  })

  it('are opened anew when the session has ended', async () => {
    const source = sourceOn(server)
    await source.describe(TEST_TABLE, never())
    server.endSessions()
    expect((await source.describe(TEST_TABLE, never())).columns).toHaveLength(3)
  })

  it('have statements tagged with the job, and no tag of their own', async () => {
    const connection = { ...loginTo(server), queryTag: 'mine' }
    const source = sourceOn(server, { connection })
    await stageOn(source, 'tagged')
    const { tag } = server.queries.all().findLast(({ sql }) => sql.startsWith('COPY'))!
    expect(tag).toMatch(/^millrace:[0-9a-f-]{36}:tagged:1$/)
  })
})
