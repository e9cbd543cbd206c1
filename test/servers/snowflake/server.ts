/** Enough of Snowflake for `snowflake-sdk`: its HTTP protocol, over DuckDB and a directory. See README.md. */
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { Accounts, type Session } from './accounts.ts'
import { failureAnswer, refusalAnswer, resultAnswer, runningAnswer } from './answers.ts'
import { Faults } from './faults.ts'
import { sendFile } from './files.ts'
import { Queries, type Query } from './queries.ts'
import { Stages } from './stages.ts'
import type { World } from './statements.ts'
import { Warehouse } from './warehouse.ts'

export interface SnowflakeServer extends World {
  readonly queries: Queries
  /** For `createConnection`, but for who logs in. */
  readonly connection: { readonly account: string; readonly accessUrl: string }
  /** Of requests for bytes of staged files: how many, and how many bytes were sent. */
  readonly served: { requests: number; bytes: number }
  /** Every session's token is good no more; it can be renewed. */
  expireTokens(): void
  /** Every session is gone, as after four hours of silence, with its temporary tables. */
  endSessions(): void
  stop(): Promise<void>
}

/** A statement that is waited for is answered within this time, or the client is told to ask again. */
const LONG_POLL_MS = 200

export async function startSnowflake(): Promise<SnowflakeServer> {
  const root = await mkdtemp(join(tmpdir(), 'millrace-snowflake-'))
  const accounts = new Accounts()
  const faults = new Faults()
  const stages = new Stages(root)
  const served = { requests: 0, bytes: 0 }
  const http = createServer((request, response) => {
    handle(request, response).catch(error => {
      console.error(error)
      response.destroy()
    })
  })
  await new Promise<void>(resolve => http.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const world: World = {
    accounts,
    faults,
    stages,
    warehouse: await Warehouse.open(),
    origin,
    compute: 'running',
    forbidden: undefined,
    history: () => queries.all(),
    cancel: id => queries.cancel(id),
  }
  const queries = new Queries(world)

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, origin)
    const body = await readBody(request)
    const fault = faults.takeRequest(`${request.method} ${url.pathname} ${body}`)
    if (fault?.how === 'drop') return void response.destroy()
    if (typeof fault?.how === 'number') return void response.writeHead(fault.how).end('{}')
    if (url.pathname.startsWith('/stage-files/')) {
      served.requests++
      served.bytes += await sendFile(request, response, stages.resolve(url.pathname.split('/').at(-1)!), faults)
      return
    }
    if (fault?.how === 'expired') expireTokens()
    if (fault?.how === 'ended') accounts.sessions.clear()
    const answer = await answerTo(request, url, body === '' ? {} : JSON.parse(body))
    if (fault?.how === 'drop-after') return void response.destroy()
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  }

  async function answerTo(request: IncomingMessage, url: URL, body: Body): Promise<unknown> {
    const { pathname } = url
    if (pathname === '/session/v1/login-request') return login(body)
    if (pathname === '/telemetry/send') return { success: true, data: null }
    const found = accounts.find(request.headers.authorization)
    if (!found) return failureAnswer('390111', 'Session no longer exists.  New login required to access the service.')
    const { session, by } = found
    if (pathname === '/session/token-request') return renewal(session)
    if (session.expired || by !== 'session')
      return failureAnswer('390112', 'Your session has expired. Please login again.')
    if (pathname === '/session') {
      accounts.sessions.delete(session.id)
      return { success: true, data: null }
    }
    if (pathname === '/session/heartbeat') return { success: true, data: null }
    if (pathname === '/queries/v1/query-request') return queryRequest(session, url, body)
    const [, id = '', what] = /^\/(?:monitoring\/)?queries\/([^/]+)(?:\/(result|abort-request))?$/.exec(pathname) ?? []
    const query = queries.get(id)
    if (pathname.startsWith('/monitoring/')) return monitoring(query)
    if (!query) return failureAnswer('000709', `Statement ${id} not found`)
    if (what === 'abort-request') return { success: queries.cancel(id), data: null }
    return outcome(query, '333333')
  }

  function login({ data = {} }: Body): unknown {
    const session = accounts.login(data)
    if (!session) return failureAnswer('390100', 'Incorrect username or password was specified.')
    const { id, token, masterToken } = session
    return {
      data: {
        token,
        masterToken,
        sessionId: id,
        validityInSeconds: 3_600,
        masterValidityInSeconds: 14_400,
        parameters: [],
      },
      success: true,
    }
  }

  function renewal(session: Session): unknown {
    accounts.renew(session)
    const { id, token: sessionToken, masterToken } = session
    return {
      data: { sessionToken, masterToken, sessionId: id, validityInSecondsST: 3_600, validityInSecondsMT: 14_400 },
      success: true,
    }
  }

  async function queryRequest(session: Session, url: URL, body: Body): Promise<unknown> {
    const { sqlText: sql = '', parameters = {}, asyncExec = false, bindings = {} } = body
    const binds = Object.keys(bindings)
      .toSorted((a, b) => Number(a) - Number(b))
      .map(name => bindings[name]!.value)
    const requestId = url.searchParams.get('requestId') ?? ''
    const query = queries.submit({ requestId, session, sql, tag: String(parameters['QUERY_TAG'] ?? ''), binds })
    if (asyncExec) {
      // what does not compile is refused at once
      await Promise.race([query.ended, new Promise(resolve => setImmediate(resolve))])
      return query.refusal ? refusalAnswer(query.queryId, query.refusal) : runningAnswer(query.queryId, '333334')
    }
    return outcome(query, '333333')
  }

  async function outcome(query: Query, code: '333333'): Promise<unknown> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, LONG_POLL_MS)
    await Promise.race([query.ended, promise])
    clearTimeout(timer)
    if (query.state === 'RUNNING') return runningAnswer(query.queryId, code)
    return query.refusal ? refusalAnswer(query.queryId, query.refusal) : resultAnswer(query.queryId, query.result!)
  }

  function monitoring(query: Query | undefined): unknown {
    const state = query?.state
    const queries = query
      ? [{ id: query.queryId, status: state, state, errorMessage: query.refusal?.message ?? '' }]
      : []
    return { data: { queries }, code: null, message: null, success: true }
  }

  function expireTokens(): void {
    for (const session of accounts.sessions.values()) session.expired = true
  }

  return Object.assign(world, {
    queries,
    served,
    connection: { account: 'test', accessUrl: origin },
    expireTokens,
    endSessions: () => accounts.sessions.clear(),
    async stop() {
      for (const query of queries.all()) query.abort()
      await Promise.all(queries.all().map(({ ended }) => ended))
      http.close()
      http.closeAllConnections()
      world.warehouse.close()
      await rm(root, { recursive: true, force: true })
    },
  })
}

interface Body {
  readonly data?: Readonly<Record<string, unknown>>
  readonly sqlText?: string
  readonly parameters?: Readonly<Record<string, unknown>>
  readonly asyncExec?: boolean
  readonly bindings?: Readonly<Record<string, { readonly value: string | null }>>
}

async function readBody(request: IncomingMessage): Promise<string> {
  const bytes = await buffer(request)
  return (request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString()
}
