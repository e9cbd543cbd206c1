import { access } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { freePorts, run, startServer, workDirectory } from './process.ts'

const LISTEN = `require('node:http').createServer((q, r) => r.end(String(process.pid))).listen(PORT, '127.0.0.1')`

test('a server dies with the process that started it, even when that one is killed', async () => {
  const [port] = await freePorts(1)
  const dir = await workDirectory('keeper')
  const url = `http://127.0.0.1:${port}`
  // a process that starts a server and then kills itself, as a test run would be killed
  const starter = `
    import { startServer } from ${JSON.stringify(new URL('process.ts', import.meta.url).href)}
    await startServer({ dir: ${JSON.stringify(dir)}, command: process.execPath,
      args: ['-e', ${JSON.stringify(LISTEN.replace('PORT', String(port)))}],
      ready: () => fetch(${JSON.stringify(url)}), timeoutMs: 20_000 })
    process.stdout.write(await (await fetch(${JSON.stringify(url)})).text())
    process.kill(process.pid, 'SIGKILL')`

  const killed = await run(process.execPath, ['--input-type=module', '-e', starter]).catch(error => error)

  expect(killed.signal).toBe('SIGKILL')
  const pid = Number(killed.stdout)
  expect(pid).toBeGreaterThan(0)
  await expect.poll(() => isRunning(pid), { timeout: 10_000 }).toBe(false)
  await expect
    .poll(
      () =>
        access(dir).then(
          () => 'there',
          () => 'gone',
        ),
      { timeout: 10_000 },
    )
    .toBe('gone')
})

test('a server that does not come up is an error that holds its log', async () => {
  const dir = await workDirectory('keeper')

  const start = startServer({
    dir,
    command: process.execPath,
    args: ['-e', 'console.error("no such listener"); process.exit(3)'],
    ready: () => Promise.reject(new Error('refused')),
    timeoutMs: 20_000,
  })

  await expect(start).rejects.toThrow(/it ended[\s\S]*no such listener/)
  await expect(access(dir)).rejects.toThrow()
})

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
