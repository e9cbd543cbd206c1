/** The store in one SQLite file, which several processes of one machine may share. */
import { resolve } from 'node:path'
import type { Checkpoint, DeadLetter } from '../core/unit.ts'
import { Connection } from './sqlite/connection.ts'
import type { Page, StoredRecord } from './sqlite/jobs.ts'
import type { JobRecord, ListQuery, Store } from './store.ts'

/** Under the current directory. */
export const DEFAULT_STORE_PATH = '.millrace/millrace.sqlite'

export interface SqliteStoreOptions {
  /** Default {@link DEFAULT_STORE_PATH}. Folders are created. Not on a network file system. */
  readonly path?: string
}

/**
 * Commits reach the disk before they are acknowledged (WAL, `synchronous=FULL`). SQLite runs in a thread of the store's
 * own, so that waiting for the disk, or for another process's transaction, never stops the host. Nothing is opened
 * before the first call.
 */
export function sqliteStore(options: SqliteStoreOptions = {}): Store {
  const path = resolve(options.path ?? DEFAULT_STORE_PATH)
  const connection = new Connection(path)
  const uploads = new Set<Connection>()

  return {
    create({ request, ...job }) {
      return connection.call('create', { ...job, table: request.table, requestJson: JSON.stringify(request) })
    },

    async get(jobId) {
      const job = await connection.call('get', jobId)
      return job && toRecord(job)
    },

    list: query => list(connection, query),

    async wish(jobId, wishes, when) {
      const job = await connection.call('wish', jobId, wishes, when)
      return job && toRecord(job)
    },

    unfinished: () => connection.call('unfinished'),
    claim: (seen, mostRunning) => connection.call('claim', seen, mostRunning),
    beat: lease => connection.call('beat', lease),
    release: lease => connection.call('release', lease),
    saveStaging: (lease, staging) => connection.call('saveStaging', lease, staging),
    transition: (lease, from, to, change) => connection.call('transition', lease, from, to, change),
    setDestination: (lease, uid, change) => connection.call('setDestination', lease, uid, change),

    async reopen(jobId, from, reopening) {
      return toRecord((await connection.call('reopen', jobId, from, reopening))!)
    },

    expired: now => connection.call('expired', now),
    beginDiscard: jobId => connection.call('beginDiscard', jobId),
    discarded: jobId => connection.call('discarded', jobId),
    redriven: (jobId, uid, outcome) => connection.call('redriven', jobId, uid, outcome),

    async manifest(jobId) {
      const text = await connection.call('manifest', jobId)
      return text === undefined ? undefined : JSON.parse(text)
    },

    async checkpoints(jobId) {
      const byUid: Record<string, Checkpoint[]> = {}
      for (const uid of await connection.call('destinationUids', jobId)) {
        const checkpoints: Checkpoint[] = []
        const page = (last?: Checkpoint) => connection.call('checkpointsPage', jobId, uid, last?.chunk ?? -1)
        for await (const some of pagesOf(page)) checkpoints.push(...some)
        byUid[uid] = checkpoints
      }
      return byUid
    },

    startUnit: (lease, unit) => connection.call('startUnit', lease, unit),
    report: (lease, report, maxDeadLetters) => connection.call('report', lease, report, maxDeadLetters),

    async *deadLetters(jobId, uid) {
      const page = (last?: DeadLetter) =>
        connection.call('deadLettersPage', jobId, uid, last?.chunk ?? -1, last?.row ?? -1)
      for await (const letters of pagesOf(page)) yield* letters
    },

    proof: (jobId, uid) => connection.call('proof', jobId, uid),

    /** On a thread of its own: sorting millions of values would hold up heartbeats for seconds. */
    async putValueSet(values) {
      const upload = new Connection(path)
      uploads.add(upload)
      try {
        for await (const piece of values) await upload.call('addValues', piece)
        return await upload.call('storeValues')
      } finally {
        uploads.delete(upload)
        await upload.close()
      }
    },

    async valueSet(ref) {
      const set = await connection.call('valueSet', ref)
      if (!set) return undefined
      return {
        ref,
        count: set.count,
        async *values() {
          for (let piece = 0; piece < set.pieces; piece++) {
            yield JSON.parse(await connection.call('valuePiece', ref, piece))
          }
        },
      }
    },

    async close() {
      await Promise.all([connection, ...uploads].map(each => each.close()))
    },
  }
}

async function list(connection: Connection, query: ListQuery): Promise<readonly JobRecord[]> {
  const limit = query.limit ?? 1_000
  const records: JobRecord[] = []
  let rest = query
  while (records.length < limit) {
    const { items, more } = await connection.call('listPage', rest, limit - records.length)
    records.push(...items.map(toRecord))
    const last = items.at(-1)
    if (!more || !last) break
    rest = { ...query, before: { timeCreated: last.timeCreated, jobId: last.jobId } }
  }
  return records
}

/** What does not fit into one message. Nothing is held open between pages: an open statement keeps its snapshot, and the next write would fail. */
async function* pagesOf<T>(nextPage: (last: T | undefined) => Promise<Page<T>>): AsyncGenerator<readonly T[]> {
  let page: Page<T> | undefined
  do {
    page = await nextPage(page?.items.at(-1))
    yield page.items
  } while (page.more)
}

/** The request is parsed when it is first looked at: that of one job may take longer than the host's event loop may be held up. */
function toRecord({ requestJson, ...job }: StoredRecord): JobRecord {
  let request: JobRecord['request'] | undefined
  return {
    ...job,
    get request(): JobRecord['request'] {
      request ??= JSON.parse(new TextDecoder().decode(requestJson)) as JobRecord['request']
      return request
    },
  }
}
