/** Who is asking: API keys, of which the configuration knows only hashes. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { ConfigError } from '../core/errors.ts'

/** Answers the organization that a key belongs to, or null. */
export type Authenticate = (apiKey: string) => string | null | Promise<string | null>

export const apiKeySchema = z.strictObject({
  organization: z.string().min(1).max(1_024),
  sha256: z.string().regex(/^[0-9a-f]{64}$/i, 'must be the SHA-256 of the key, as 64 hex digits'),
})

/** One key of an organization, which may have many: a new one is added before the old one is taken away. */
export type HashedKey = z.infer<typeof apiKeySchema>

/**
 * Knows keys by their SHA-256, as `printf %s "$KEY" | sha256sum` prints it. That is enough for keys that are random and long (128 bits or
 * more), which keys of machines should be. Throws a `ConfigError` for a list that cannot be right.
 */
export function hashedKeys(keys: readonly HashedKey[]): Authenticate {
  const { data, error } = z.array(apiKeySchema).min(1).safeParse(keys)
  if (!data)
    throw new ConfigError(`API keys: ${error.issues.map(each => `${each.path.join('.')}: ${each.message}`).join(', ')}`)
  const known = data.map(({ organization, sha256 }) => ({ organization, hash: Buffer.from(sha256, 'hex') }))
  const distinct = new Set(data.map(({ sha256 }) => sha256.toLowerCase()))
  if (distinct.size < known.length)
    throw new ConfigError('API keys: a hash is there twice, so that nobody can tell whose it is')
  return apiKey => {
    const asked = sha256Of(apiKey)
    let found: string | null = null
    // all of them, always: neither how long it takes nor where it stops tells anything of a key
    for (const { organization, hash } of known) if (timingSafeEqual(hash, asked)) found = organization
    return found
  }
}

export function sha256Of(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
