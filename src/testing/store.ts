/**
 * The conformance suite of stores. It knows no test runner:
 *
 *     for (const { name, run } of testStore({ create })) test(name, run)
 */
import type { Store } from '../stores/store.ts'
import { deadLetterCases, proofCases } from './store-dead-letters.ts'
import type { StoreCase } from './store-driver.ts'
import { durabilityCases } from './store-durability.ts'
import { jobCases } from './store-jobs.ts'
import { ownershipCases } from './store-ownership.ts'
import { progressCases } from './store-progress.ts'
import { reopeningCases } from './store-reopening.ts'
import { reportCases } from './store-reports.ts'
import { valueSetCases } from './store-value-sets.ts'

export interface StoreTestOptions {
  /** An empty store of its own; called once per test. The suite closes it. */
  readonly create: () => Store | Promise<Store>
  /** Opens again what a closed store kept, as another process would. Without it nothing needs to outlive its store. */
  readonly reopen?: (closed: Store) => Store | Promise<Store>
}

export interface StoreTest {
  readonly name: string
  run(): Promise<void>
}

/** Tests of everything that `Store` promises while its disk or server is well. */
export function testStore({ create, reopen }: StoreTestOptions): readonly StoreTest[] {
  const cases: readonly StoreCase[] = [
    ...jobCases,
    ...ownershipCases,
    ...progressCases,
    ...reportCases,
    ...reopeningCases,
    ...deadLetterCases,
    ...proofCases,
    ...valueSetCases,
    ...durabilityCases(reopen),
  ]
  return cases.map(([name, body]) => ({
    name,
    async run() {
      const store = await create()
      try {
        await body(store)
      } finally {
        await store.close()
      }
    },
  }))
}
