// A Fastify service with backfills in it; main.ts runs it.
import Fastify, { type FastifyInstance } from 'fastify'
import { createEngine, ERRORS, isMillraceError, type Sink, type Source } from 'millrace'
import { sqliteStore } from 'millrace/stores/sqlite'

export interface ServiceOptions {
  readonly source: Source
  readonly sinks: readonly Sink[]
  /** The file that remembers the jobs. */
  readonly storePath: string
}

export function createService({ source, sinks, storePath }: ServiceOptions): FastifyInstance {
  const store = sqliteStore({ path: storePath })
  const engine = createEngine({ source, sinks, store })
  const app = Fastify()

  app.post('/backfills', async (request, reply) => {
    // the engine checks the whole of it, and rejects with every problem
    return reply.code(201).send(await engine.create(request.body as Parameters<typeof engine.create>[0]))
  })
  app.get('/backfills', () => engine.list())
  app.get<{ Params: { id: string } }>('/backfills/:id', ({ params }) => engine.get(params.id))
  app.post<{ Params: { id: string } }>('/backfills/:id/cancel', ({ params }) => engine.cancel(params.id))

  app.setErrorHandler((error: unknown, _request, reply) => {
    if (!isMillraceError(error)) return reply.code(500).send({ error: 'internal' })
    return reply
      .code(ERRORS[error.code].status)
      .send({ error: error.code, message: error.message, problems: error.problems })
  })
  // what is in flight settles and is checkpointed; the next start goes on from there
  app.addHook('onClose', async () => {
    await engine.close()
    await store.close()
  })
  return app
}
