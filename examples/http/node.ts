// The API on plain node:http, alone.
import { createServer, type Server } from 'node:http'
import type { Api } from 'millrace/http'
import { nodeListener } from 'millrace/http/node'

export function nodeServer(api: Api): Server {
  return createServer(nodeListener(api))
}
