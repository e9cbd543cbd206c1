/** What was found when a delivery was read back. */

/** A chunk, or the chunks of a unit of work, that is not as it was delivered. */
export interface Place {
  readonly first_chunk: number
  readonly last_chunk: number
  readonly missing: number
  readonly unexpected: number
  /** As many rows as were delivered, and another sum of checksums. */
  readonly wrong: boolean
  /** Rows of the chunk that are missing, the first ones; empty where it cannot be said which they are. */
  readonly missing_rows: readonly number[]
}

export interface Findings {
  /** Rows of the delivery that are there, each counted once. */
  readonly found: number
  readonly missing: number
  /** Records beyond the first of their row. */
  readonly duplicated: number
  /** Records where the job's rows should be that are none of them. */
  readonly unexpected: number
  /** Records too many of which nobody can say whether they are rows that came twice, or something else. */
  readonly untold: number
  /** Records of the job that no checkpoint covers yet. */
  readonly ahead: number
  /** Records in between that are not the job's. */
  readonly others: number
  /** Records without an id among those that have one. */
  readonly unnamed: number
  /** In order of their chunks. */
  readonly places: readonly Place[]
}
