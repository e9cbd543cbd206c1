/** What `--from` and `--to` say without a configuration file: a source and destinations as URLs. */

export interface DuckdbSource {
  readonly type: 'duckdb'
  readonly path: string
}

/** Files as they are: `files` is a pattern of `filesSource`. */
export interface FilesSource {
  readonly type: 'files'
  readonly files: string
}

export type Target =
  | { readonly type: 'file'; readonly name: string; readonly dir: string }
  | { readonly type: 'null' | 'stdout'; readonly name: string }
  | KafkaTarget

export interface KafkaTarget {
  readonly type: 'kafka'
  /** The topic. */
  readonly name: string
  readonly brokers: readonly string[]
  readonly topic: string
  readonly key?: string
  readonly tls: boolean
  readonly sasl?: { readonly mechanism: SaslMechanism; readonly username: string; readonly password: string }
}

export const SASL_MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const
export type SaslMechanism = (typeof SASL_MECHANISMS)[number]

/** What is wrong with a URL. Never repeats it: it may hold a password. */
export interface Unusable {
  readonly problem: string
}

/** `duckdb:PATH`, `files:GLOB`, the URL of a file, or a glob in an object store */
export function parseSource(text: string): DuckdbSource | FilesSource | Unusable {
  if (/^(https?|s3|gs):\/\/./i.test(text)) return { type: 'files', files: text }
  const [, type, rest] = /^(duckdb|files):(.+)$/s.exec(text) ?? []
  if (rest === undefined)
    return { problem: 'must be duckdb:PATH, files:GLOB, https://HOST/FILE, s3://BUCKET/GLOB or gs://BUCKET/GLOB' }
  return type === 'duckdb' ? { type, path: rest } : { type: 'files', files: rest }
}

/** What a table is called where `--from` names files, and nothing else names a table. */
export const FILES_TABLE = 'files'

/** `file:DIR`, `stdout:`, `null:` or `kafka://[user:password@]host:port[,host:port]/topic[?key=column&tls=true&sasl=mechanism]` */
export function parseTarget(text: string): Target | Unusable {
  if (text === 'null:') return { type: 'null', name: 'null' }
  if (text === 'stdout:') return { type: 'stdout', name: 'stdout' }
  if (text.startsWith('kafka:')) return parseKafka(text)
  const dir = /^file:(.+)$/s.exec(text)?.[1]
  if (dir === undefined) return { problem: 'must be file:DIR, stdout:, kafka://HOST:PORT/TOPIC or null:' }
  return { type: 'file', name: dir, dir }
}

const KAFKA_FORM =
  'must be kafka://HOST:PORT[,HOST:PORT]/TOPIC[?key=COLUMN], with USER:PASSWORD@ before the hosts if needed'

// not `new URL`, which allows one host only
const KAFKA_URL = /^kafka:\/\/(?:([^@/]*)@)?([^@/?#]+)\/([^/?#]+)(?:\?([^#]*))?$/

function parseKafka(text: string): KafkaTarget | Unusable {
  const [, login, hosts = '', path = '', query = ''] = KAFKA_URL.exec(text) ?? []
  const brokers = hosts.split(',').map(host => (/:\d+$/.test(host) ? host : `${host}:9092`))
  const topic = decode(path)
  if (hosts === '' || topic === undefined || brokers.some(host => !/^(\[[\da-f:]+\]|[\w.-]+):\d+$/i.test(host)))
    return { problem: KAFKA_FORM }

  const { key, tls = 'false', sasl, ...unknown } = Object.fromEntries(new URLSearchParams(query))
  const [name] = Object.keys(unknown)
  if (name !== undefined) return { problem: `has an unknown parameter ${name}; there are key, tls and sasl` }
  if (tls !== 'true' && tls !== 'false') return { problem: 'tls must be true or false' }
  const mechanism = SASL_MECHANISMS.find(known => known === (sasl ?? 'PLAIN').toUpperCase())
  if (mechanism === undefined) return { problem: `sasl must be one of ${SASL_MECHANISMS.join(', ')}` }

  const [username, password] = (login ?? '').split(':').map(decode)
  if ((login !== undefined || sasl !== undefined) && (!username || !password))
    return { problem: 'needs USER:PASSWORD before the @, with %40 for @, %3A for : and %2F for / in them' }
  return {
    type: 'kafka',
    name: topic,
    brokers,
    topic,
    ...(key ? { key } : {}),
    tls: tls === 'true',
    ...(username && password ? { sasl: { mechanism, username, password } } : {}),
  }
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** For whatever is printed: user and password of URLs become `***`. */
export function redact(text: string): string {
  return text.replaceAll(/\/\/\S*@/g, '//***@')
}
