import type { z } from 'zod'
import { ConfigError } from '../core/errors.ts'

/**
 * The options of a sink as its schema makes them. Throws a `ConfigError` that lists every problem with its path; none of its text
 * repeats a value. `maker`: the function that they were given to.
 */
export function checkOptions<Schema extends z.ZodType>(
  maker: string,
  schema: Schema,
  options: unknown,
): z.output<Schema> {
  const result = schema.safeParse(options)
  if (result.success) return result.data
  const problems = result.error.issues.map(({ path, message }) => ({ path: path.join('.') || 'options', message }))
  const lines = problems.map(problem => `${problem.path}: ${problem.message}`)
  throw new ConfigError(`${maker}: ${lines.join('; ')}`, { problems })
}
