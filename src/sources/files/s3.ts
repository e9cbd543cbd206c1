/** Files of S3 and of what speaks its protocol. They are listed by the AWS SDK, and read by the lanes, behind URLs that it signs. */
import { posix } from 'node:path'
import type { S3Client } from '@aws-sdk/client-s3'
import { loadDriver } from '../../core/driver.ts'
import { isMillraceError, SourceError } from '../../core/errors.ts'
import type { S3Options } from './options.ts'
import { type FoundFile, hasGlob, isHidden, literalFolder, literalPrefix, type Storage } from './storage.ts'

type Sdk = typeof import('@aws-sdk/client-s3')

/** How long a signed URL is good for; then, or when the server says so before, another one is signed. */
const URL_SECONDS = 3_600

const FORM = /^s3:\/\/([^/]+)\/(.+)$/s

export function isS3(pattern: string): boolean {
  return pattern.startsWith('s3://')
}

/** Undefined of what can be. */
export function s3Problem(pattern: string): string | undefined {
  return FORM.test(pattern) ? undefined : 'must be s3://BUCKET/KEY, where KEY may be a glob'
}

export function s3Storage(options: S3Options): Storage {
  let opened: Promise<{ readonly sdk: Sdk; readonly client: S3Client }> | undefined
  const open = () => (opened ??= openClient(options))

  return {
    owns({ pattern }, name) {
      const [place, file] = [partsOf(pattern), partsOf(name)]
      return place.bucket === file.bucket && matches(place.key, file.key)
    },

    async list({ pattern }, signal) {
      const { sdk, client } = await open()
      const { bucket, key } = partsOf(pattern)
      return asked(bucket, signal, async () => {
        if (!hasGlob(key)) {
          const found = await client.send(new sdk.HeadObjectCommand({ Bucket: bucket, Key: key }), {
            abortSignal: signal,
          })
          return [foundFile(bucket, key, found.ContentLength, found.ETag)]
        }
        const files: FoundFile[] = []
        const query = { Bucket: bucket, Prefix: literalPrefix(key) }
        for (let next: string | undefined, more = true; more; ) {
          const page = await client.send(
            new sdk.ListObjectsV2Command({ ...query, ...(next === undefined ? {} : { ContinuationToken: next }) }),
            { abortSignal: signal },
          )
          for (const { Key, Size, ETag } of page.Contents ?? [])
            if (Key !== undefined && matches(key, Key)) files.push(foundFile(bucket, Key, Size, ETag))
          next = page.NextContinuationToken
          more = page.IsTruncated === true
        }
        return files
      })
    },

    async access(_place, { name, fingerprint }, signal) {
      const { sdk, client } = await open()
      const { bucket, key } = partsOf(name)
      const { getSignedUrl } = await loadDriver(
        '@aws-sdk/s3-request-presigner',
        () => import('@aws-sdk/s3-request-presigner'),
      )
      const expiresAt = new Date(Date.now() + URL_SECONDS * 1_000).toISOString()
      const url = await asked(bucket, signal, () =>
        getSignedUrl(client, new sdk.GetObjectCommand({ Bucket: bucket, Key: key }), { expiresIn: URL_SECONDS }),
      )
      return { url, expiresAt, ...(fingerprint === undefined ? {} : { headers: { 'if-match': fingerprint } }) }
    },

    async close() {
      if (!options.client) (await opened?.catch(() => undefined))?.client.destroy()
    },
  }
}

async function openClient({ client, region, endpoint, credentials, forcePathStyle }: S3Options) {
  const sdk = await loadDriver('@aws-sdk/client-s3', () => import('@aws-sdk/client-s3'))
  if (client) return { sdk, client }
  const { AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_DEFAULT_REGION } = process.env
  const own = endpoint ?? AWS_ENDPOINT_URL_S3 ?? AWS_ENDPOINT_URL
  // servers that are not of AWS care for no region, but a request cannot be signed without one
  const signed = region ?? (own === undefined ? AWS_DEFAULT_REGION : (AWS_REGION ?? AWS_DEFAULT_REGION ?? 'us-east-1'))
  const made = new sdk.S3Client({
    ...(signed === undefined ? {} : { region: signed }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials ? { credentials } : {}),
    forcePathStyle: forcePathStyle ?? own !== undefined,
    // a bucket of another region is found by itself
    followRegionRedirects: true,
  })
  return { sdk, client: made }
}

function partsOf(pattern: string): { readonly bucket: string; readonly key: string } {
  const [, bucket = '', key = ''] = FORM.exec(pattern) ?? []
  return { bucket, key }
}

function matches(pattern: string, key: string): boolean {
  if (key === pattern) return true
  return !key.endsWith('/') && posix.matchesGlob(key, pattern) && !isHidden(key.slice(literalFolder(pattern).length))
}

function foundFile(bucket: string, key: string, bytes: number | undefined, etag: string | undefined): FoundFile {
  return { name: `s3://${bucket}/${key}`, bytes: bytes ?? 0, ...(etag === undefined ? {} : { fingerprint: etag }) }
}

async function asked<T>(bucket: string, signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    signal.throwIfAborted()
    throw isMillraceError(error) ? error : failureOf(bucket, error)
  }
}

/** Names and not messages: they may repeat what was sent. */
function failureOf(bucket: string, cause: unknown): SourceError {
  const { name, code, $metadata, $retryable } = cause as {
    name?: string
    code?: string
    $metadata?: { httpStatusCode?: number }
    $retryable?: unknown
  }
  const status = $metadata?.httpStatusCode
  const problem = status === 404 && name === 'NotFound' ? 'there is no such object' : (code ?? name ?? 'no answer')
  const advice = ADVICE[name ?? ''] ?? (status === 403 ? ADVICE['AccessDenied'] : undefined)
  const text = `S3 bucket ${JSON.stringify(bucket)}: ${problem}${status === undefined ? '' : ` (HTTP ${status})`}`
  const retryable = $retryable !== undefined || (status === undefined ? code !== undefined : status >= 500)
  return new SourceError(advice === undefined ? text : `${text}: ${advice}`, { retryable, cause })
}

const ADVICE: Readonly<Record<string, string>> = {
  CredentialsProviderError: 'set AWS_PROFILE or AWS_ACCESS_KEY_ID, or give the source `s3.credentials`',
  AccessDenied: 'allow s3:ListBucket on the bucket and s3:GetObject on its objects',
  NoSuchBucket: 'check the name, the region and the endpoint',
  PermanentRedirect: 'set the region of the bucket (AWS_REGION, or `s3.region`)',
  InvalidAccessKeyId: 'check the credentials and the endpoint',
  SignatureDoesNotMatch: 'check the secret access key',
}
