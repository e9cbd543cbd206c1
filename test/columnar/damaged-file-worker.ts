/** Reads files that may be damaged, all at the same time, and tells how that went. */
import { parentPort, workerData } from 'node:worker_threads'
import type { PlannedChunk } from '../../src/columnar/read-plan.ts'
import { openUnitReader } from '../../src/columnar/reader.ts'
import { isTrap } from '../../src/columnar/trap.ts'
import { isMillraceError } from '../../src/core/errors.ts'
import { noValueSet, planOf } from './read-units.ts'

export interface Outcome {
  readonly rows: number
  /** Of the error, if there was one. */
  readonly code?: string
  readonly message?: string
  readonly trap: boolean
}

const format: PlannedChunk['format'] = workerData

parentPort!.on('message', async (files: readonly Uint8Array[]) => {
  parentPort!.postMessage(await Promise.all(files.map(readFile)))
})

async function readFile(bytes: Uint8Array, chunk: number): Promise<Outcome> {
  const access = { byteLength: bytes.length, read: async (start: number, end: number) => bytes.slice(start, end) }
  const plan = planOf([{ chunk, name: `file-${chunk}`, format, bytes: bytes.length, fromRow: 0 }])
  const reader = openUnitReader(plan, async () => access, noValueSet)
  let rows = 0
  try {
    for (let span = await reader.next(); span; span = await reader.next()) rows += span.rows
    return { rows, trap: false }
  } catch (error) {
    const code = isMillraceError(error) ? error.code : String(error)
    return { rows, code, message: (error as Error).message, trap: isTrap(error) }
  } finally {
    await reader.close()
  }
}
