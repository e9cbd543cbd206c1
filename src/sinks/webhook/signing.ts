/** What proves to a receiver who sent a body. */
import { createHash, createHmac, randomUUID } from 'node:crypto'

export interface Signing {
  readonly hashKey?: string | undefined
  /** As they are handed out: `whsec_...`. */
  readonly standardKeys: readonly string[]
}

/** Headers for these very bytes, compressed as they are sent, at this time. `id` names them and repeats when they are sent again. */
export function signatureHeaders(
  { hashKey, standardKeys }: Signing,
  id: string,
  body: Uint8Array,
): Record<string, string> {
  const timestamp = Math.floor(Date.now() / 1000)
  return {
    ...(hashKey === undefined ? {} : hashKeyHeaders(hashKey, { timestamp, nonce: randomUUID() }, body)),
    ...(standardKeys.length === 0 ? {} : standardHeaders(standardKeys, { timestamp, id: messageId(id) }, body)),
  }
}

export function hashKeyHeaders(
  key: string,
  { timestamp, nonce }: { readonly timestamp: number; readonly nonce: string },
  body: Uint8Array,
): Record<string, string> {
  const signature = createHmac('sha256', key).update(`${nonce}.${timestamp}.`).update(body).digest('hex')
  return {
    'x-webhook-timestamp': String(timestamp),
    'x-webhook-nonce': nonce,
    'x-signature-256': `sha256=${signature}`,
  }
}

/** Standard Webhooks 1.0.0, "Signature scheme": symmetric, `v1`. One signature for each key, so that a receiver may change over. */
export function standardHeaders(
  keys: readonly string[],
  { timestamp, id }: { readonly timestamp: number; readonly id: string },
  body: Uint8Array,
): Record<string, string> {
  const signatures = keys.map(key => {
    const hmac = createHmac('sha256', secretBytes(key)).update(`${id}.${timestamp}.`).update(body)
    return `v1,${hmac.digest('base64')}`
  })
  return { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': signatures.join(' ') }
}

/** Without a full stop, which is what separates the parts that are signed. */
function messageId(name: string): string {
  return `msg_${createHash('sha256').update(name).digest('hex').slice(0, 32)}`
}

/** As the specification wants them: 24 to 64 bytes in base64, `whsec_` before them. */
export function isStandardKey(key: string): boolean {
  const text = key.replace(KEY_PREFIX, '')
  const { length } = secretBytes(key)
  return /^[A-Za-z0-9+/]+={0,2}$/.test(text) && length >= 24 && length <= 64
}

const KEY_PREFIX = /^whsec_/

function secretBytes(key: string): Buffer {
  return Buffer.from(key.replace(KEY_PREFIX, ''), 'base64')
}
