/** A Node timer of more is one of 1 ms. */
export const LONGEST_TIMER_MS: number = 2 ** 31 - 1
