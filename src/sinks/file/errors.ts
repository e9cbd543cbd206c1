import { DeliveryError } from '../sink.ts'

/** What no waiting mends. All else, a full disk above all, may pass. */
const MISCONFIGURED = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EISDIR', 'ENAMETOOLONG'])

/** Runs what touches the file system; `what` it was for the error. */
export async function attempt<T>(what: string, run: () => Promise<T>, retryable?: boolean): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    throw new DeliveryError(`cannot ${what}: ${message}`, {
      cause,
      code: code !== undefined && MISCONFIGURED.has(code) ? 'destination_misconfigured' : 'destination_unavailable',
      ...(retryable === undefined ? {} : { retryable }),
    })
  }
}
