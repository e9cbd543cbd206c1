/** Units of Arrow and of every warehouse here: seconds, milliseconds, microseconds, nanoseconds. */
export type TimeUnit = 's' | 'ms' | 'us' | 'ns'

/** Decimal digits behind the second that each unit can hold. */
export const UNIT_DIGITS: Readonly<Record<TimeUnit, 0 | 3 | 6 | 9>> = { s: 0, ms: 3, us: 6, ns: 9 }

/**
 * The logical type of a column, as far as window bounds and filter values need it. `other` columns are delivered like
 * all the rest but cannot be filtered on.
 */
export type ColumnType =
  | { readonly kind: 'boolean' }
  | { readonly kind: 'integer'; readonly bits: 8 | 16 | 32 | 64 | 128; readonly signed: boolean }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'float'; readonly bits: 32 | 64 }
  | { readonly kind: 'string' }
  | { readonly kind: 'binary' }
  | { readonly kind: 'date' }
  | { readonly kind: 'time'; readonly unit: TimeUnit }
  /** `zone`: the column holds instants; without it, wall-clock times that are read as UTC. */
  | { readonly kind: 'timestamp'; readonly unit: TimeUnit; readonly zone: boolean }
  | { readonly kind: 'other' }

export interface Column {
  readonly name: string
  readonly type: ColumnType
  /** The type as the warehouse names it, for messages: `DECIMAL(38,0)`, `VARCHAR`. */
  readonly native: string
  readonly nullable: boolean
}

/** A table that the host's catalogue allows to be backfilled. */
export interface TableSchema {
  /** As requests name it: `base.assets.erc20_token_transfers`. */
  readonly table: string
  /** In the table's order, which is the order of the keys in the JSON of a row. */
  readonly columns: readonly Column[]
  /** The columns that a window may be cut by, the default one first. */
  readonly partitionKeys: readonly string[]
}
