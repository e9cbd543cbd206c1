/** Connections to Snowflake: the source's own, the host's, or a pool of the host's. */
import type { Connection, ConnectionOptions } from 'snowflake-sdk'
import { loadDriver } from '../../core/driver.ts'
import { isSessionGone, snowflakeError } from './failures.ts'
import { execute } from './statements.ts'

/** A pool of `snowflake-sdk`'s `createPool`, as far as it is used here. */
export interface ConnectionPool {
  use<T>(work: (connection: Connection) => Promise<T>): Promise<T>
}

export type SnowflakeConnection = ConnectionOptions | Connection | ConnectionPool

export interface Sessions {
  /** Runs `work` on a connection, once more on a new one where the session had ended. Temporary tables live as long as one `work`. */
  use<T>(work: (connection: Connection) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export function openSessions(given: SnowflakeConnection): Sessions {
  if ('use' in given && typeof given.use === 'function') return pooled(given as ConnectionPool)
  return 'execute' in given && typeof given.execute === 'function'
    ? handedIn(given as Connection)
    : own(given as ConnectionOptions)
}

function pooled(pool: ConnectionPool): Sessions {
  return {
    use: work =>
      pool.use(async connection => {
        await prepare(connection)
        return work(connection)
      }),
    close: async () => {},
  }
}

function handedIn(connection: Connection): Sessions {
  let prepared: Promise<void> | undefined
  return {
    async use(work) {
      prepared ??= connect(connection)
      await prepared.catch(error => {
        prepared = undefined
        throw error
      })
      return work(connection)
    },
    close: async () => {},
  }
}

async function connect(connection: Connection): Promise<void> {
  if (!connection.isUp()) await login(connection)
  await prepare(connection)
}

/** One connection for all: statements of one session run side by side, and no session is opened for each file. */
function own(options: ConnectionOptions): Sessions {
  let opened: Promise<Connection> | undefined

  async function open(): Promise<Connection> {
    const driver = await loadClient()
    // a tag of the connection would take the place of each statement's; a session that is left goes on with what runs in it
    const { queryTag: _, ...rest } = options as ConnectionOptions & { queryTag?: string }
    const connection = driver.createConnection({
      application: 'millrace',
      sfRetryMaxLoginRetries: 3,
      ...rest,
      serverSessionKeepAlive: true,
    })
    await login(connection)
    await prepare(connection)
    return connection
  }

  async function current(): Promise<Connection> {
    opened ??= open()
    const attempt = opened
    try {
      const connection = await attempt
      if (connection.isUp()) return connection
    } catch (error) {
      if (opened === attempt) opened = undefined
      throw error
    }
    if (opened === attempt) opened = undefined
    return current()
  }

  return {
    async use(work) {
      const connection = await current()
      try {
        return await work(connection)
      } catch (error) {
        if (!isSessionGone(error)) throw error
        if ((await opened?.catch(() => undefined)) === connection) opened = undefined
        destroy(connection)
        return work(await current())
      }
    },
    async close() {
      const connection = await opened?.catch(() => undefined)
      opened = undefined
      if (connection) await destroy(connection)
    },
  }
}

function destroy(connection: Connection): Promise<void> {
  return new Promise(resolve => {
    try {
      connection.destroy(() => resolve())
    } catch {
      resolve() // it has ended already
    }
  })
}

async function login(connection: Connection): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      connection.connectAsync(error => (error ? reject(error) : resolve())).catch(reject)
    })
  } catch (error) {
    throw snowflakeError('cannot log in', error)
  }
}

/** Without the first, the type of a number in Parquet would be that of the smallest values; the second is for what a session's zone decides. */
async function prepare(connection: Connection): Promise<void> {
  const settings = "ENABLE_UNLOAD_PHYSICAL_TYPE_OPTIMIZATION = FALSE, TIMEZONE = 'UTC'"
  await execute(connection, 'cannot set up the session', `ALTER SESSION SET ${settings}`)
}

/** Left to itself it writes to standard output, which may be the rows', and into a file in the working directory. */
async function loadClient(): Promise<typeof import('snowflake-sdk')> {
  const driver = await loadDriver('snowflake-sdk', () => import('snowflake-sdk'))
  const client = 'default' in driver ? (driver.default as typeof driver) : driver
  if (!silenced) client.configure({ logLevel: 'OFF', additionalLogToConsole: false })
  silenced = true
  return client
}

let silenced = false
