import { gcs } from './gcs.ts'
import { kafka } from './kafka.ts'
import { moto } from './moto.ts'
import { nats } from './nats.ts'
import { pubsub } from './pubsub.ts'
import type { TestServer } from './server.ts'

/** Every server that tests can ask for, by name. */
export const SERVERS = { gcs, kafka, moto, nats, pubsub } as const

export type ServerName = keyof typeof SERVERS
export type FactsOf<Name extends ServerName> = (typeof SERVERS)[Name] extends TestServer<infer Facts> ? Facts : never
