/** The stage that files go to: where on it, and what it is. */
import { ConfigError } from '../../core/errors.ts'
import { quoteNames, readNames } from './names.ts'

export interface StageLocation {
  /** The stage as SQL: `@~` or `@"DB"."SCHEMA"."STAGE"`. */
  readonly stage: string
  /** As stored; undefined for the user's own stage. */
  readonly names: readonly string[] | undefined
  /** Where on the stage, ending in `/` or empty. */
  readonly prefix: string
}

/** `@~/path`, `@stage/path`, `@schema.stage/path` or `@database.schema.stage/path`. Throws a `ConfigError`. */
export function readLocation(text: string): StageLocation {
  if (!text.startsWith('@')) throw malformed(text)
  const isUser = text.startsWith('@~')
  const { parts, rest } = isUser ? { parts: undefined, rest: text.slice(2) } : readNames(text.slice(1))
  if (!/^(\/[A-Za-z0-9_.=-]+)*\/?$/.test(rest)) throw malformed(text)
  const path = rest.replace(/^\//, '').replace(/\/$/, '')
  return {
    stage: parts ? `@${quoteNames(parts)}` : '@~',
    names: parts,
    prefix: path === '' ? '' : `${path}/`,
  }
}

function malformed(text: string): ConfigError {
  return new ConfigError(`stage must be @~/path or @database.schema.stage/path, not ${JSON.stringify(text)}`)
}

/** All that belongs to a staging. The `/` at its end matters: REMOVE and LIST match by prefix. */
export function stagingPath({ prefix }: StageLocation, stagingId: string): string {
  return `${prefix}${stagingId}/`
}
