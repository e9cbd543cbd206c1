import { ConfigError } from './errors.ts'

/**
 * Imports an optional peer dependency when it is first needed; a missing one is a `missing_driver` error that says how
 * to install it. `load` holds the literal `import()`, so that bundlers and type checkers see it.
 */
export async function loadDriver<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    if (!isMissing(cause, name)) throw cause
    throw new ConfigError(`${name} is not installed: run "npm install ${name}"`, { code: 'missing_driver', cause })
  }
}

function isMissing(cause: unknown, name: string): boolean {
  const code = (cause as { code?: unknown } | null)?.code
  return (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') && String(cause).includes(name)
}
