import { randomWords } from '../columnar/kernel/random.ts'

/** Everything that is left to chance, the same for the same seed. */
export interface Random {
  /** A whole number from `low` up to, but not including, `high`. */
  between(low: number, high: number): number
  pick<T>(choices: readonly T[]): T
  chance(probability: number): boolean
}

export function randomOf(seed: number): Random {
  const next = randomWords(seed)
  const fraction = (): number => next() / 2 ** 32
  const between = (low: number, high: number): number => low + Math.floor(fraction() * (high - low))
  return {
    between,
    pick: choices => choices[between(0, choices.length)]!,
    chance: probability => fraction() < probability,
  }
}
