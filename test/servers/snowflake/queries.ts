/** Statements that were submitted: one for each request id, however often it is sent. */
import { randomUUID } from 'node:crypto'
import type { Session } from './accounts.ts'
import type { ResultSet } from './answers.ts'
import { Refusal } from './errors.ts'
import { compile, perform, type Running, type World } from './statements.ts'

export interface Query {
  readonly queryId: string
  readonly sql: string
  readonly tag: string
  /** Of the session in which it began. */
  readonly session: Session
  state: 'RUNNING' | 'SUCCESS' | 'FAILED_WITH_ERROR'
  result?: ResultSet
  refusal?: Refusal
  readonly ended: Promise<void>
  abort(): void
}

export interface Submission {
  readonly requestId: string
  readonly session: Session
  readonly sql: string
  readonly tag: string
  readonly binds: readonly (string | null)[]
}

export class Queries {
  readonly #world: World
  readonly #queries = new Map<string, Query>()
  readonly #requests = new Map<string, Query>()

  constructor(world: World) {
    this.#world = world
  }

  all(): readonly Query[] {
    return [...this.#queries.values()]
  }

  get(queryId: string): Query | undefined {
    return this.#queries.get(queryId)
  }

  cancel(queryId: string): boolean {
    const query = this.#queries.get(queryId)
    if (query?.state !== 'RUNNING') return false
    query.abort()
    return true
  }

  submit({ requestId, session, sql, tag, binds }: Submission): Query {
    const known = this.#requests.get(requestId)
    if (known) return known
    const controller = new AbortController()
    const queryId = randomUUID()
    const running: Running = { queryId, tag, sql, session, binds, signal: controller.signal }
    const ended = Promise.resolve().then(async () => {
      try {
        compile(running, this.#world)
        query.result = await perform(running, this.#world)
        controller.signal.throwIfAborted()
        query.state = 'SUCCESS'
      } catch (error) {
        query.refusal = controller.signal.aborted
          ? new Refusal('000604', '57014', 'SQL execution canceled')
          : asRefusal(error)
        query.state = 'FAILED_WITH_ERROR'
      }
    })
    const query: Query = { queryId, sql, tag, session, state: 'RUNNING', ended, abort: () => controller.abort() }
    this.#queries.set(queryId, query)
    this.#requests.set(requestId, query)
    return query
  }
}

/** What the server itself cannot do shows as a syntax error would, with the reason for whoever wrote the test. */
function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  console.error(error)
  return new Refusal('000001', '42000', `the test server failed: ${String(error)}`)
}
