import { existsSync } from 'node:fs'
import { Option } from 'commander'
import { MillraceError } from '../core/errors.ts'
import { DEFAULT_STORE_PATH, sqliteStore } from '../stores/sqlite.ts'
import type { JobRecord, Store } from '../stores/store.ts'
import { findConfig } from './config-file.ts'

export interface StoreFlags {
  readonly store?: string
  readonly config?: string
}

export const configOption = () =>
  new Option('--config <file>', 'configuration (default: millrace.config.ts, .mjs or .js here, if there is one)')

export const storeOption = () =>
  new Option(
    '--store <file>',
    `job store, a SQLite file (default: that of the configuration, else ${DEFAULT_STORE_PATH})`,
  )

/** Opens the job store alone: these commands need no source, no destinations, and no engine. */
export async function withStore<T>(flags: StoreFlags, use: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore(flags)
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}

async function openStore({ store: path, config }: StoreFlags): Promise<Store> {
  const configured = path === undefined ? (await findConfig(config))?.store : undefined
  if (configured !== undefined) return configured
  const file = path ?? DEFAULT_STORE_PATH
  // opening would make an empty one, and then all jobs seem to be gone
  if (!existsSync(file)) throw new MillraceError('not_found', `there is no job store ${file}: say where with --store`)
  return sqliteStore({ path: file })
}

export async function requireJob(store: Store, jobId: string): Promise<JobRecord> {
  const record = await store.get(jobId)
  if (record === undefined) throw new MillraceError('not_found', `there is no job ${jobId} in this store`)
  return record
}
