import { MillraceError } from '../core/errors.ts'
import type { SinkSession } from './sink.ts'

/** What a probe answers that holds nothing open: it is closed at once. */
export const PROBED: SinkSession = {
  async write() {
    throw new MillraceError('internal', 'a probed session takes no rows')
  },
  async close() {},
}
