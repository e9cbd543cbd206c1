/** Files of Google Cloud Storage. They are listed by its client, and read by the lanes over its JSON API, with tokens of the client. */
import { posix } from 'node:path'
import type { Storage as GcsClient } from '@google-cloud/storage'
import { loadDriver } from '../../core/driver.ts'
import { SourceError } from '../../core/errors.ts'
import type { GcsOptions } from './options.ts'
import { type FoundFile, hasGlob, isHidden, literalFolder, literalPrefix, type Storage } from './storage.ts'

const FORM = /^gs:\/\/([^/]+)\/(.+)$/s
const SCOPES = ['https://www.googleapis.com/auth/devstorage.read_only']
/** Of a token, which is renewed by the client when it is asked for one: what matters is that it can expire at all. */
const TOKEN_MS = 45 * 60_000

export function isGcs(pattern: string): boolean {
  return pattern.startsWith('gs://')
}

/** Undefined of what can be. */
export function gcsProblem(pattern: string): string | undefined {
  return FORM.test(pattern) ? undefined : 'must be gs://BUCKET/OBJECT, where OBJECT may be a glob'
}

export function gcsStorage(options: GcsOptions): Storage {
  let opened: Promise<GcsClient> | undefined
  const open = () => (opened ??= openClient(options))

  return {
    owns({ pattern }, name) {
      const [place, file] = [partsOf(pattern), partsOf(name)]
      return place.bucket === file.bucket && matches(place.object, file.object)
    },

    async list({ pattern }, signal) {
      const client = await open()
      const { bucket, object } = partsOf(pattern)
      return asked(bucket, signal, async () => {
        if (!hasGlob(object)) {
          const [metadata] = await client.bucket(bucket).file(object).getMetadata()
          return [foundFile(bucket, object, metadata)]
        }
        const files: FoundFile[] = []
        const query = { prefix: literalPrefix(object), autoPaginate: false, fields: FIELDS }
        for (let pageToken: string | undefined, more = true; more; ) {
          const [page, next] = await client
            .bucket(bucket)
            .getFiles({ ...query, ...(pageToken === undefined ? {} : { pageToken }) })
          signal.throwIfAborted()
          // where fields are chosen, the client hands out the API's own items
          for (const { name, ...item } of page as readonly unknown[] as readonly (Item & { readonly name: string })[])
            if (matches(object, name)) files.push(foundFile(bucket, name, item))
          pageToken = (next as { pageToken?: string } | null)?.pageToken
          more = pageToken !== undefined
        }
        return files
      })
    },

    async access(_place, { name, fingerprint }, signal) {
      const client = await open()
      const { bucket, object } = partsOf(name)
      const url = new URL(`${client.baseUrl}/b/${encodeURIComponent(bucket)}/o/${encodeURIComponent(object)}`)
      url.searchParams.set('alt', 'media')
      // a generation is one state of an object: a later one is another
      if (fingerprint !== undefined) url.searchParams.set('ifGenerationMatch', fingerprint)
      const expected = fingerprint === undefined ? {} : { 'x-goog-if-generation-match': fingerprint }
      const login = await asked(bucket, signal, () => headersOf(client, options))
      const expiresAt = new Date(Date.now() + TOKEN_MS).toISOString()
      return { url: url.href, headers: { ...login, ...expected }, expiresAt }
    },
  }
}

const FIELDS = 'items(name,size,generation),nextPageToken'

async function openClient({ client, endpoint, projectId, keyFilename, credentials }: GcsOptions): Promise<GcsClient> {
  if (client) return client
  const { Storage } = await loadDriver('@google-cloud/storage', () => import('@google-cloud/storage'))
  return new Storage({
    scopes: SCOPES,
    ...(endpoint === undefined ? {} : { apiEndpoint: endpoint }),
    ...(projectId === undefined ? {} : { projectId }),
    ...(keyFilename === undefined ? {} : { keyFilename }),
    ...(credentials ? { credentials } : {}),
  })
}

/** None for an emulator, of which the client asks nothing either. */
async function headersOf(client: GcsClient, { endpoint }: GcsOptions): Promise<Readonly<Record<string, string>>> {
  if (endpoint !== undefined || process.env['STORAGE_EMULATOR_HOST'] !== undefined) return {}
  return Object.fromEntries(await client.authClient.getRequestHeaders(client.baseUrl))
}

function partsOf(pattern: string): { readonly bucket: string; readonly object: string } {
  const [, bucket = '', object = ''] = FORM.exec(pattern) ?? []
  return { bucket, object }
}

function matches(pattern: string, object: string): boolean {
  if (object === pattern) return true
  const inside = object.slice(literalFolder(pattern).length)
  return !object.endsWith('/') && posix.matchesGlob(object, pattern) && !isHidden(inside)
}

interface Item {
  readonly size?: string | number
  readonly generation?: string | number
}

function foundFile(bucket: string, object: string, { size, generation }: Item): FoundFile {
  const fingerprint = generation === undefined ? {} : { fingerprint: String(generation) }
  return { name: `gs://${bucket}/${object}`, bytes: Number(size), ...fingerprint }
}

async function asked<T>(bucket: string, signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (cause) {
    signal.throwIfAborted()
    throw failureOf(bucket, cause)
  }
}

/** Codes and not messages, which may repeat what was sent. */
function failureOf(bucket: string, cause: unknown): SourceError {
  const { code, message } = cause as { code?: string | number; message?: string }
  const lacksLogin = message?.includes('default credentials') ?? false
  const problem = lacksLogin
    ? 'there are no credentials'
    : typeof code === 'number'
      ? `HTTP ${code}`
      : (code ?? 'no answer')
  const advice = lacksLogin ? ADVICE[401] : ADVICE[Number(code)]
  const text = `GCS bucket ${JSON.stringify(bucket)}: ${problem}`
  const retryable = typeof code === 'number' ? code >= 500 || code === 429 : code !== undefined
  return new SourceError(advice === undefined ? text : `${text}: ${advice}`, { retryable, cause })
}

const ADVICE: Readonly<Record<number, string>> = {
  401: 'set GOOGLE_APPLICATION_CREDENTIALS, run "gcloud auth application-default login", or give the source `gcs.keyFilename`',
  403: 'allow storage.objects.list and storage.objects.get on the bucket',
  404: 'check the names of the bucket and the object',
}
