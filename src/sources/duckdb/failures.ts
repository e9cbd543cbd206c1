import { isMillraceError, SourceError } from '../../core/errors.ts'

/** What DuckDB says in these is about files, memory, names and rights. Any other message may quote a value. */
const SPEAKABLE: Readonly<Record<string, { readonly retryable: boolean; readonly advice?: string }>> = {
  'IO Error': { retryable: true },
  'Out of Memory Error': {
    retryable: true,
    advice: 'raise memoryLimit, or lower rowGroupRows or threads',
  },
  'Catalog Error': { retryable: false },
  'Binder Error': { retryable: false },
  'Permission Error': { retryable: false },
  'Not implemented Error': { retryable: false },
}

/**
 * A `SourceError` with the first line of what DuckDB said. DuckDB's own error is not kept as the cause: it quotes the
 * statement, and with it filter values.
 */
export function databaseError(doing: string, error: unknown): Error {
  if (isMillraceError(error) || !(error instanceof Error)) return error as Error
  const [, kind = 'Error', text = ''] = /^(\w[\w ]*? Error): ([^\n]*)/.exec(error.message) ?? []
  const speakable = SPEAKABLE[kind]
  if (!speakable) {
    const withheld = `DuckDB reports: ${kind} (its message is withheld, as it may quote values)`
    return new SourceError(`${doing}: ${withheld}`, { retryable: false })
  }
  const advice = speakable.advice === undefined ? '' : `; ${speakable.advice}`
  return new SourceError(`${doing}: DuckDB reports: ${kind}: ${text.slice(0, 300)}${advice}`, {
    retryable: speakable.retryable,
  })
}
