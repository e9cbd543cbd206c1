/** The errors of staged files. `problem` completes "the staged file "x" …". */
import { FormatError } from '../core/errors.ts'
import type { PlannedChunk } from './read-plan.ts'

/** The file cannot be what was staged. */
export function corrupt(name: string, problem: string, cause?: unknown): FormatError {
  return new FormatError('file_corrupt', `the staged file ${JSON.stringify(name)} ${problem}: stage it again`, {
    cause,
  })
}

export function missing(name: string, problem: string, cause?: unknown): FormatError {
  return new FormatError('file_missing', `the staged file ${JSON.stringify(name)} ${problem}: stage it again`, {
    cause,
  })
}

/** The storage says that it is not the file any more that was staged. */
export function rewritten(name: string): FormatError {
  const problem = `the staged file ${JSON.stringify(name)} was written again since it was staged`
  return new FormatError('file_corrupt', `${problem}: create the backfill again`)
}

/** `part`: "row group 3". Sizes in bytes. */
export function overBudget(name: string, part: string, bytes: number, budget: number): FormatError {
  const advice = 'stage smaller files or row groups, or raise rowGroupBudgetBytes'
  return new FormatError(
    'over_budget',
    `${part} of the staged file ${JSON.stringify(name)} has ${bytes} bytes uncompressed, above the budget of ${budget}: ${advice}`,
  )
}

export function sizeProblem(chunk: PlannedChunk, found: number): FormatError | undefined {
  if (found === chunk.bytes) return undefined
  return corrupt(chunk.name, `has ${found} bytes and not the ${chunk.bytes} that were staged`)
}

/** Names the file in errors of its content that are thrown where its name is not known. */
export function inFile<T>(name: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof FormatError && !error.message.includes(JSON.stringify(name))) {
      error.message = `the staged file ${JSON.stringify(name)}: ${error.message}`
    }
    throw error
  }
}
