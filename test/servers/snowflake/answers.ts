/** The JSON that Snowflake's clients get. */
import type { Refusal } from './errors.ts'

export interface ResultColumn {
  readonly name: string
  readonly type: 'text' | 'fixed' | 'real' | 'boolean'
}

export interface ResultSet {
  readonly columns: readonly ResultColumn[]
  readonly rows: readonly (readonly (string | null)[])[]
  /** In place of rows: what the client's file transfer is told. */
  readonly transfer?: Readonly<Record<string, unknown>>
}

export const texts = (...names: string[]): ResultColumn[] => names.map(name => ({ name, type: 'text' }))

export const status = (text: string): ResultSet => ({ columns: texts('status'), rows: [[text]] })

export function resultAnswer(queryId: string, { columns, rows, transfer }: ResultSet): unknown {
  if (transfer) return { data: { ...transfer, queryId }, code: null, message: null, success: true }
  return {
    data: {
      parameters: [],
      rowtype: columns.map(({ name, type }) => ({
        name,
        type,
        nullable: true,
        length: type === 'text' ? 16_777_216 : null,
        byteLength: null,
        precision: type === 'fixed' ? 38 : null,
        scale: type === 'fixed' ? 0 : null,
      })),
      rowset: rows,
      total: rows.length,
      returned: rows.length,
      queryId,
      queryResultFormat: 'json',
      version: 1,
    },
    code: null,
    message: null,
    success: true,
  }
}

/** `333333`: it runs, ask again; `333334`: it runs detached. */
export function runningAnswer(queryId: string, code: '333333' | '333334'): unknown {
  return {
    data: { queryId, getResultUrl: `/queries/${queryId}/result`, progressDesc: null, queryAbortsAfterSecs: 300 },
    code,
    message: 'Query execution in progress.',
    success: true,
  }
}

export function refusalAnswer(queryId: string, { code, sqlState, message }: Refusal): unknown {
  const data = { internalError: false, errorCode: code, sqlState, queryId, line: -1, pos: -1, type: 'COMPILATION' }
  return { data, code, message, success: false, headers: null }
}

export function failureAnswer(code: string, message: string): unknown {
  return { data: null, code, message, success: false, headers: null }
}
