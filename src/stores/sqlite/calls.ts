import type { Database } from './database.ts'
import { jobCalls } from './jobs.ts'
import { ownershipCalls } from './ownership.ts'
import { progressCalls } from './progress.ts'
import { reopeningCalls } from './reopening.ts'
import { valueSetCalls } from './value-sets.ts'

/** Everything that the host asks of the store's thread, by name. */
export function storeCalls(db: Database) {
  return { ...jobCalls(db), ...ownershipCalls(db), ...progressCalls(db), ...reopeningCalls(db), ...valueSetCalls(db) }
}

export type StoreCalls = ReturnType<typeof storeCalls>
