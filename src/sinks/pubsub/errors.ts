/** What the errors of gRPC mean: https://cloud.google.com/pubsub/docs/reference/error-codes */
import { DeliveryError, isMillraceError, type MillraceError } from '../../core/errors.ts'
import { fieldsOf } from './wire.ts'

/** By code. */
const NAMES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const

export type StatusName = (typeof NAMES)[number]

/** After these somebody has to change something first. All others may pass, save what refuses the messages themselves. */
const MISCONFIGURED: ReadonlySet<StatusName | undefined> = new Set([
  'NOT_FOUND',
  'PERMISSION_DENIED',
  'FAILED_PRECONDITION',
  'UNIMPLEMENTED',
  'UNAUTHENTICATED',
] as const)

/** The fields of interest of grpc-js's `ServiceError`. */
interface Parts {
  readonly code?: unknown
  readonly details?: unknown
  readonly message?: string
  readonly metadata?: { get?(key: string): readonly (string | Uint8Array)[] }
}

export function statusOf(error: unknown): StatusName | undefined {
  const { code } = (error ?? {}) as Parts
  return typeof code === 'number' ? NAMES[code] : undefined
}

/** `where`: what was being done. */
export function asDeliveryError(where: string, error: unknown): MillraceError {
  if (isMillraceError(error)) return error
  const status = statusOf(error)
  const code = MISCONFIGURED.has(status) ? 'destination_misconfigured' : 'destination_unavailable'
  const wait = retryAfterMs(error)
  const asked = wait === undefined ? {} : { retryAfterMs: wait }
  return new DeliveryError(`${where}: ${reasonOf(error)}`, { code, cause: error, ...asked })
}

/** `UNAVAILABLE (No connection established)` */
export function reasonOf(error: unknown): string {
  const { details, message } = (error ?? {}) as Parts
  const status = statusOf(error)
  if (status === undefined) return message || String(error)
  return details ? `${status} (${details})` : status
}

/** How long the server asked to be left alone: google.rpc.RetryInfo, in the details of the status (https://google.aip.dev/193). */
function retryAfterMs(error: unknown): number | undefined {
  const [details] = ((error ?? {}) as Parts).metadata?.get?.('grpc-status-details-bin') ?? []
  if (!(details instanceof Uint8Array)) return undefined
  try {
    const delays = part(details, 3)
      .filter(any => part(any, 1).some(url => Buffer.from(url).toString().endsWith('/google.rpc.RetryInfo')))
      .flatMap(any => part(any, 2))
      .flatMap(info => part(info, 1))
      .map(delay => 1_000 * numberIn(delay, 1) + numberIn(delay, 2) / 1_000_000)
    return delays[0]
  } catch {
    return undefined // only a hint, in a form that is not known
  }
}

function part(message: Uint8Array, number: number): Uint8Array[] {
  return [...fieldsOf(message)].filter(field => field.number === number).map(({ bytes }) => bytes)
}

function numberIn(message: Uint8Array, number: number): number {
  return [...fieldsOf(message)].find(field => field.number === number)?.value ?? 0
}
