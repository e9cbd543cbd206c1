import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ERRORS } from '../../src/core/errors.ts'
import { MAIN, millrace } from './cli.ts'

let cwd: string
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'millrace-cli-'))
})
afterAll(() => rm(cwd, { recursive: true }))

describe('millrace', () => {
  it('tells an old Node what it needs, before anything else is loaded', async () => {
    await mkdir(join(cwd, 'old/src/cli'), { recursive: true })
    await cp(new URL('../../src/cli/main.ts', import.meta.url), join(cwd, 'old/src/cli/main.ts'))
    const manifest = { type: 'module', version: '0.0.0', engines: { node: '>=99.1.0' } }
    await writeFile(join(cwd, 'old/package.json'), JSON.stringify(manifest))
    const { code, stderr } = await runFile(process.execPath, [join(cwd, 'old/src/cli/main.ts')])
    expect(stderr).toBe(
      `millrace needs Node 99.1.0 or newer; this is Node ${process.versions.node}. See https://nodejs.org\n`,
    )
    expect(code).toBe(2)
  })

  it('prints its help, with every exit code', async () => {
    const { code, stdout, stderr } = await millrace(['--help'], { cwd })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const command of ['demo', 'run', 'list', 'show', 'cancel'])
      expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'))
    for (const exit of new Set(Object.values(ERRORS).map(error => error.exit)))
      expect(stdout).toMatch(new RegExp(`^  ${exit} +\\S`, 'm'))
  })

  it('prints the help of every command', async () => {
    for (const command of ['run', 'list', 'show', 'cancel']) {
      const { code, stdout } = await millrace([command, '--help'], { cwd })
      expect(code).toBe(0)
      expect(stdout).toContain(`Usage: millrace ${command} `)
      expect(stdout).toContain('--store <file>')
    }
  })

  it('answers 2 for a command or a flag that it does not know, and prints no secret', async () => {
    const unknown = await millrace(['ran'], { cwd })
    expect(unknown).toEqual({
      code: 2,
      stdout: '',
      stderr: "error: unknown command 'ran'\n(Did you mean run?)\n(see --help)\n",
    })
    const flag = await millrace(['run', '--too=kafka://ann:secret@h:1/t'], { cwd })
    expect(flag.code).toBe(2)
    expect(flag.stderr).toContain("unknown option '--too=kafka://***@h:1/t'")
  })

  it('ends quietly when nobody reads on', async () => {
    const script = 'set -o pipefail; "$0" "$@" | true'
    const { code, stderr } = await runFile('bash', ['-c', script, process.execPath, MAIN, '--help'])
    expect(stderr).toBe('')
    expect([0, 141]).toContain(code)
  })
})

function runFile(program: string, args: readonly string[]): Promise<{ code: unknown; stderr: string }> {
  return new Promise(resolve => {
    execFile(program, args, (error, _, stderr) => resolve({ code: error ? error.code : 0, stderr }))
  })
}
