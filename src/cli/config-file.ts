import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ConfigError, messageOf } from '../core/errors.ts'
import type { MillraceConfig } from './config.ts'

const NAMES = ['millrace.config.ts', 'millrace.config.mjs', 'millrace.config.js']

/** The configuration that `path` names, or that lies in the working directory; undefined if neither. */
export async function findConfig(path: string | undefined): Promise<MillraceConfig | undefined> {
  if (path !== undefined) {
    if (!(await isFile(path))) throw new ConfigError(`--config: there is no file ${path}`)
    return load(path)
  }
  for (const name of NAMES) if (await isFile(name)) return load(name)
  return undefined
}

async function load(path: string): Promise<MillraceConfig> {
  const module = await import(pathToFileURL(resolve(path)).href).catch(cause => {
    throw new ConfigError(`${path} cannot be loaded: ${messageOf(cause)}`, { cause })
  })
  const config: unknown = module.default
  if (!isConfig(config))
    throw new ConfigError(`${path}: the default export must be defineConfig({ source, sinks: [...] })`)
  return config
}

/** Only as much as tells a configuration from something else: its parts are checked by those who use them. */
function isConfig(value: unknown): value is MillraceConfig {
  const { source, sinks } = (value ?? {}) as { source?: unknown; sinks?: unknown }
  return typeof source === 'object' && source !== null && Array.isArray(sinks)
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    stats => stats.isFile(),
    () => false,
  )
}
