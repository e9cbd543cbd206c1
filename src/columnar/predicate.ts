import type { ColumnType } from './column-type.ts'

/**
 * What of a request the source did not apply itself, as plain data: rows for which any part is not true are filtered out.
 * All bounds and values are canonical text (`literal.ts`); a NULL matches nothing.
 */
export interface Predicate {
  /** `start <= column < end` */
  readonly window?: { readonly column: string; readonly type: ColumnType; readonly start: string; readonly end: string }
  /** `column IN (values)` */
  readonly filter?: { readonly column: string; readonly type: ColumnType; readonly values: ValueList }
}

/** The values themselves, or the name of a stored value set. `count` counts before duplicates are dropped. */
export type ValueList =
  | { readonly count: number; readonly inline: readonly string[] }
  | { readonly count: number; readonly ref: string }
