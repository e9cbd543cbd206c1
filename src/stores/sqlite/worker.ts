/** The program of the store's thread: one connection, opened by the first call, or by a later one if that failed. */
import { parentPort, workerData } from 'node:worker_threads'
import { ThreadRpc } from '../../core/thread-rpc.ts'
import { type StoreCalls, storeCalls } from './calls.ts'
import { type Database, openDatabase, storeError } from './database.ts'

const { path } = workerData as { readonly path: string }
let open: { readonly db: Database; readonly calls: StoreCalls } | undefined

function opened(): StoreCalls {
  if (open === undefined) {
    const db = openDatabase(path)
    open = { db, calls: storeCalls(db) }
  }
  return open.calls
}

new ThreadRpc(parentPort!, {
  call(method: keyof StoreCalls, args: never[]) {
    try {
      const call: (...args: never[]) => unknown = opened()[method]
      return call(...args)
    } catch (error) {
      throw storeError(error, path)
    }
  },

  close() {
    open?.db.close()
  },
})
