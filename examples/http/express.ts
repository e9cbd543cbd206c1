// The API within an Express app, under /millrace.
import express, { type Express } from 'express'
import type { Api } from 'millrace/http'
import { nodeListener } from 'millrace/http/node'

export function expressApp(api: Api): Express {
  const app = express()
  // before any body parser: the API reads bodies itself, within its own bounds
  app.use('/millrace', nodeListener(api))
  app.use(express.json())
  app.get('/hello', (_request, response) => {
    response.json({ hello: 'from the host' })
  })
  return app
}
