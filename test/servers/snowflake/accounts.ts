/** Users, sessions and their tokens. */
import { createPublicKey, randomUUID, verify } from 'node:crypto'

export interface User {
  readonly password?: string
  /** PEM. For key pairs: Snowflake has it as RSA_PUBLIC_KEY. */
  readonly publicKey?: string
}

export interface Session {
  readonly id: number
  readonly user: string
  token: string
  expired: boolean
  readonly masterToken: string
  /** Of the session, in capitals. */
  readonly parameters: Map<string, string>
  /** Temporary tables: as stored, and what they are called in DuckDB. */
  readonly temporary: Map<string, string>
}

export class Accounts {
  readonly users = new Map<string, User>()
  readonly sessions = new Map<number, Session>()

  /** Undefined where the credentials are wrong. */
  login(data: Readonly<Record<string, unknown>>): Session | undefined {
    const name = String(data['LOGIN_NAME'] ?? '').toUpperCase()
    const user = this.users.get(name)
    if (!user || !isGenuine(user, name, data)) return undefined
    const session: Session = {
      id: this.sessions.size + 1,
      user: name,
      token: randomUUID(),
      masterToken: randomUUID(),
      expired: false,
      parameters: new Map([['ENABLE_UNLOAD_PHYSICAL_TYPE_OPTIMIZATION', 'TRUE']]),
      temporary: new Map(),
    }
    this.sessions.set(session.id, session)
    return session
  }

  find(
    authorization: string | undefined,
  ): { readonly session: Session; readonly by: 'session' | 'master' } | undefined {
    const token = /Token="([^"]+)"/.exec(authorization ?? '')?.[1]
    for (const session of this.sessions.values()) {
      if (session.token === token) return { session, by: 'session' }
      if (session.masterToken === token) return { session, by: 'master' }
    }
    return undefined
  }

  renew(session: Session): void {
    session.token = randomUUID()
    session.expired = false
  }
}

/** A JSON Web Token of the key pair (RS256), or the password. */
function isGenuine({ password, publicKey }: User, name: string, data: Readonly<Record<string, unknown>>): boolean {
  if (data['AUTHENTICATOR'] !== 'SNOWFLAKE_JWT') return password !== undefined && data['PASSWORD'] === password
  const [header = '', payload = '', signature = ''] = String(data['TOKEN']).split('.')
  if (publicKey === undefined) return false
  const signed = Buffer.from(`${header}.${payload}`)
  if (!verify('sha256', signed, createPublicKey(publicKey), Buffer.from(signature, 'base64url'))) return false
  const { sub } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { sub: string }
  return sub.endsWith(`.${name}`)
}
