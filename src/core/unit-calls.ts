import type { Ending } from './ending.ts'
import { DeliveryError } from './errors.ts'
import type { Unit } from './unit.ts'

/** What a session answers to a call about a whole unit, which may take as long as a batch may be tried. */
export function answerOf<T>(
  call: 'begin' | 'commit',
  answer: Promise<T> | undefined,
  { id, limits }: Unit,
  ending: Ending,
): Promise<T | undefined> {
  const { deliveryDeadlineMs } = limits
  const late = (): DeliveryError =>
    new DeliveryError(`unit ${id}: ${call} did not end within ${deliveryDeadlineMs / 1000} s`, {
      code: 'destination_unavailable',
    })
  return ending.within<T | undefined>(answer, deliveryDeadlineMs, late)
}
