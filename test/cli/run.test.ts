import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { millrace } from './cli.ts'

let cwd: string
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'millrace-run-'))
})
afterAll(() => rm(cwd, { recursive: true }))

describe('millrace run, given what cannot be run,', () => {
  it('names every problem at once, without a configuration', async () => {
    const args = ['run', '--filter', 'origin', '--filter-file', 'nope', '--to', 'file:out']
    expect(await millrace(args, { cwd })).toEqual(
      refused(
        '--table: is required without a request file',
        '--start: is required without a request file',
        '--end: is required without a request file',
        '--filter: only one filter is possible, from --filter or from --filter-file',
        '--from: is required where there is no millrace.config.ts and no --config',
      ),
    )
  })

  it('names every problem at once, with URLs, and never the URLs', async () => {
    const args = [
      '--from',
      'postgres://ann:secret@h/db',
      '--to',
      'kafka://ann:secret@h',
      '--to',
      's3:x',
      '--filter-file',
      'a=nope',
    ]
    expect(await millrace(['run', '--table', 't', '--start', '1', '--end', '2', ...args], { cwd })).toEqual(
      refused(
        '--filter-file: nope cannot be read',
        '--from: must be duckdb:PATH, files:GLOB, https://HOST/FILE, s3://BUCKET/GLOB or gs://BUCKET/GLOB',
        '--partition-key: is required with --from',
        '--to: must be kafka://HOST:PORT[,HOST:PORT]/TOPIC[?key=COLUMN], with USER:PASSWORD@ before the hosts if needed',
        '--to: must be file:DIR, stdout:, kafka://HOST:PORT/TOPIC or null:',
      ),
    )
  })

  it('says what is wrong with a request file', async () => {
    await writeFile(join(cwd, 'broken.json'), '{\n  "table": secret\n}')
    await writeFile(join(cwd, 'list.json'), '[]')
    const url = ['--from', 'duckdb:x.db', '--partition-key', 'date', '--to', 'null:']
    const broken = await millrace(['run', 'broken.json', ...url], { cwd })
    expect(broken.stderr).toMatch(/broken\.json: is not valid JSON/)
    expect(broken.stderr).not.toContain('secret')
    expect((await millrace(['run', 'list.json', ...url], { cwd })).stderr).toContain('list.json: must be a JSON object')
    expect((await millrace(['run', 'none.json', ...url], { cwd })).stderr).toContain(
      'none.json: cannot be read: ENOENT',
    )
    const stdin = await millrace(['run', '-', ...url], { cwd, stdin: '7' })
    expect(stdin).toEqual(refused('standard input: must be a JSON object'))
  })

  it('says what is wrong with a configuration', async () => {
    const dir = join(cwd, 'configs')
    await mkdir(dir)
    await writeFile(join(dir, 'syntax.config.ts'), 'export default {')
    await writeFile(join(dir, 'empty.config.ts'), 'export default {}')
    await writeFile(join(dir, 'good.config.mjs'), "export default { source: {}, sinks: [{ type: 'null', name: 'a' }] }")
    const run = async (...args: string[]) =>
      (await millrace(['run', '--table', 't', '--start', '1', '--end', '2', ...args], { cwd: dir })).stderr
    expect(await run('--to', 'null:a', '--config', 'none.ts')).toContain('--config: there is no file none.ts\n')
    expect(await run('--to', 'null:a', '--config', 'syntax.config.ts')).toMatch(
      /--config: syntax.config.ts cannot be loaded: /,
    )
    expect(await run('--to', 'null:a', '--config', 'empty.config.ts')).toContain(
      'the default export must be defineConfig(',
    )
    expect(await run('--config', 'good.config.mjs')).toContain('--to: is required: say where the rows go')
    expect(await run('--to', 'null:b', '--to', 'kafka://u:secret@h/t', '--config', 'good.config.mjs')).toBe(
      `millrace: cannot do that:\n${'  --to: must name a sink of the configuration, which has null:a\n'.repeat(2)}`,
    )
    expect(
      await run('--from', 'duckdb:x', '--partition-key', 'a', '--to', 'null:', '--config', 'good.config.mjs'),
    ).toContain('--config: cannot be combined with --from')
  })

  it('leaves nothing behind', async () => {
    expect((await readdir(cwd)).sort()).toEqual(['broken.json', 'configs', 'list.json'])
  })
})

function refused(...problems: string[]) {
  return { code: 2, stdout: '', stderr: `millrace: cannot do that:\n${problems.map(line => `  ${line}\n`).join('')}` }
}
