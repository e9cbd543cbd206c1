/** The API in servers that speak Node's own requests and responses: `node:http`, Express, Fastify and others. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import type { Api } from './api.ts'

export type NodeListener = (request: IncomingMessage, response: ServerResponse) => Promise<void>

/** Before it no body parser may have read the request. */
export function nodeListener(api: Api): NodeListener {
  // the host's own Request and Response stay what they are
  return getRequestListener(api, { overrideGlobalObjects: false })
}
