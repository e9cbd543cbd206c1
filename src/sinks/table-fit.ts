import type { TableSchema } from '../columnar/column-type.ts'
import { DeliveryError } from '../core/errors.ts'

/** Throws where there are problems, such as `it has no column "a" for the key`. `sink`: which one, as `Kafka`. */
export function requireFit(sink: string, { table, columns }: TableSchema, problems: readonly string[]): void {
  if (problems.length === 0) return
  const names = columns.map(({ name }) => name).join(', ')
  const message = `table "${table}" does not fit the ${sink} sink: ${problems.join('; ')}. Its columns are ${names}`
  throw new DeliveryError(message, { code: 'destination_misconfigured' })
}
