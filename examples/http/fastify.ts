// The API within a Fastify app, under /millrace; to be made with { basePath: '/millrace' }, since Fastify leaves URLs as they are.
import Fastify, { type FastifyInstance } from 'fastify'
import type { Api } from 'millrace/http'
import { nodeListener } from 'millrace/http/node'

export function fastifyApp(api: Api): FastifyInstance {
  const app = Fastify()
  const listener = nodeListener(api)
  app.register(async scope => {
    // the API reads bodies itself, within its own bounds
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null))
    scope.all('/millrace/*', (request, reply) => {
      reply.hijack()
      return listener(request.raw, reply.raw)
    })
  })
  app.get('/hello', () => ({ hello: 'from the host' }))
  return app
}
