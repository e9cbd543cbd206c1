import type { JetStreamManager, StreamConfig } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { misconfigured, nameOf } from './errors.ts'
import type { NatsSettings } from './options.ts'
import { covers, overlaps } from './subject.ts'

export type JetStream = typeof import('@nats-io/jetstream')

/** Who has no answer to this has none for long. */
const USER_INFO_MS = 2_000

/** The name of the stream that acknowledges. Throws where there is none, or it does not take every row's subject. */
export async function findStream(manager: JetStreamManager, settings: NatsSettings): Promise<string> {
  const name = settings.stream ?? (await streamTaking(manager, settings))
  const problem = problemOf(await configOf(manager, settings, name), settings.subject.pattern)
  if (problem !== undefined) throw misconfigured(nameOf(settings), `stream ${name} ${problem}`)
  return name
}

export function managerOf(
  { jetstreamManager }: JetStream,
  connection: NatsConnection,
  { timeoutMs, domain }: NatsSettings,
): Promise<JetStreamManager> {
  return jetstreamManager(connection, {
    checkAPI: false,
    timeout: timeoutMs,
    ...(domain === undefined ? {} : { domain }),
  })
}

async function streamTaking(manager: JetStreamManager, settings: NatsSettings): Promise<string> {
  const { pattern } = settings.subject
  const names = await manager.streams.names(pattern).next()
  if (names.length === 1) return names[0]!
  const reason = names.length === 0 ? 'no stream takes' : `several streams (${names.join(', ')}) take some of`
  throw misconfigured(nameOf(settings), `${reason} ${pattern}: give one of them this subject`)
}

async function configOf(manager: JetStreamManager, settings: NatsSettings, name: string): Promise<StreamConfig> {
  try {
    return (await manager.streams.info(name)).config
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'StreamNotFoundError') throw error
    throw misconfigured(nameOf(settings), `stream ${name} does not exist: create it`)
  }
}

function problemOf({ subjects = [], sealed, no_ack, mirror }: StreamConfig, pattern: string): string | undefined {
  if (sealed) return 'is sealed and takes no more messages'
  if (no_ack) return 'acknowledges nothing (no_ack), so that nobody would know what was delivered'
  if (mirror) return `is a mirror, and takes messages only from ${mirror.name}`
  if (subjects.some(subject => covers(subject, pattern))) return undefined
  return `does not take all of ${pattern}: its subjects are ${subjects.join(', ')}`
}

/** Throws where the server says that the user may publish to none of the subjects. Without an answer publishing will show. */
export async function requirePermission(connection: NatsConnection, settings: NatsSettings): Promise<void> {
  const { pattern } = settings.subject
  const { allow = [], deny = [] } = (await publishPermission(connection)) ?? {}
  const isAllowed = allow.length === 0 || allow.some(subject => overlaps(subject, pattern))
  if (isAllowed && !deny.some(subject => covers(subject, pattern))) return
  throw misconfigured(nameOf(settings), `the user may not publish to ${pattern}`)
}

interface Permission {
  readonly allow?: readonly string[]
  readonly deny?: readonly string[]
}

async function publishPermission(connection: NatsConnection): Promise<Permission | null | undefined> {
  try {
    const answer = await connection.request('$SYS.REQ.USER.INFO', undefined, { timeout: USER_INFO_MS })
    return answer.json<{ data?: { permissions?: { publish?: Permission | null } } }>().data?.permissions?.publish
  } catch {
    return undefined // a server before 2.9, or a user who may not ask
  }
}
