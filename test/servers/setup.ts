/**
 * Vitest's global setup. Starts no server yet, only a small HTTP service on the loopback interface: a test file that needs
 * a server asks for it (`need.ts`), the first one to ask has it started, and all get the same one until the run ends.
 * So a run of unit tests alone stays quick, which it would not if every run started every server.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestProject } from 'vitest/node'
import { CannotStart, type Started } from './server.ts'
import { SERVERS } from './table.ts'

declare module 'vitest' {
  interface ProvidedContext {
    serversUrl: string
  }
}

/** What a test file gets to hear: what it needs to know of the server, or why there is none. */
export type Answer<Facts> = { readonly facts: Facts } | { readonly missing: string } | { readonly broken: string }

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const asked = new Map<string, Promise<Started<never>>>()

  async function answer(name: string): Promise<Answer<unknown>> {
    const server = Object.entries(SERVERS).find(([known]) => known === name)?.[1]
    if (server === undefined) return { broken: `there is no test server called ${name}` }
    if (!asked.has(name)) asked.set(name, server.start() as Promise<Started<never>>)
    try {
      return { facts: (await asked.get(name)!).facts }
    } catch (error) {
      return error instanceof CannotStart ? { missing: error.message } : { broken: String(error) }
    }
  }

  const service = createServer(async (request, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify(await answer(request.url!.slice(1))))
  })
  await new Promise<void>(resolve => service.listen(0, '127.0.0.1', resolve))
  project.provide('serversUrl', `http://127.0.0.1:${(service.address() as AddressInfo).port}`)

  return async () => {
    service.close()
    service.closeAllConnections()
    const started = await Promise.allSettled(asked.values())
    await Promise.all(started.map(result => (result.status === 'fulfilled' ? result.value.stop() : undefined)))
  }
}
