import { DeliveryError } from '../../core/errors.ts'
import type { Connection } from './connection.ts'
import { statusOf } from './errors.ts'
import { field, fieldsOf } from './wire.ts'

const PERMISSION = 'pubsub.topics.publish'

/**
 * Throws unless the topic is there and may be published to. By its permissions, which everybody may ask for: seeing a topic takes another
 * permission than publishing. Emulators know no permissions.
 */
export async function checkTopic(connection: Connection, signal: AbortSignal): Promise<void> {
  const permitted = await mayPublish(connection, signal)
  if (permitted === true) return
  const missing = await isMissing(connection, signal, permitted === undefined)
  const reason = missing
    ? 'does not exist: create it, or mend the name'
    : `may not be published to with these credentials: they need ${PERMISSION} (roles/pubsub.publisher)`
  if (missing || permitted === false)
    throw new DeliveryError(`Pub/Sub topic "${connection.topic}" ${reason}`, { code: 'destination_misconfigured' })
}

/** Undefined where nobody knows. Of a topic that is not there nothing is permitted. */
async function mayPublish({ topic, call }: Connection, signal: AbortSignal): Promise<boolean | undefined> {
  const request = Buffer.concat([field(1, topic), field(2, PERMISSION)])
  try {
    const response = await call('/google.iam.v1.IAMPolicy/TestIamPermissions', request, [signal])
    return [...fieldsOf(response)].some(({ bytes }) => Buffer.from(bytes).toString() === PERMISSION)
  } catch (error) {
    const status = statusOf(error)
    if (status === 'UNIMPLEMENTED') return undefined
    if (status === 'NOT_FOUND') return false
    throw error
  }
}

/** `certain`: that it could not be seen is an error. */
async function isMissing({ topic, call }: Connection, signal: AbortSignal, certain: boolean): Promise<boolean> {
  try {
    await call('/google.pubsub.v1.Publisher/GetTopic', field(1, topic), [signal])
    return false
  } catch (error) {
    if (statusOf(error) === 'NOT_FOUND') return true
    if (certain || statusOf(error) !== 'PERMISSION_DENIED') throw error
    return false
  }
}
