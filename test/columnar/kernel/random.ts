import fc from 'fast-check'

/** Runs `test` with many random words; what fails is told by its seed. */
export function withRandomWords(runs: number, test: (next: () => number) => void): void {
  fc.assert(
    fc.property(fc.integer(), seed => test(randomWords(seed))),
    { numRuns: runs, endOnFailure: true },
  )
}

/** An integer of any size: all of 1 to `bits` bits are as likely. */
export function randomBits(next: () => number, bits: number): bigint {
  let value = 0n
  for (let got = 0; got < bits; got += 32) value = (value << 32n) | BigInt(next())
  return BigInt.asUintN(1 + (next() % bits), value)
}

/** Random words of 32 bits, the same for the same seed: far cheaper than fast-check's own values, for tests that want very many. */
export function randomWords(seed: number): () => number {
  let state = seed
  // T. Ettinger's mulberry32
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let word = Math.imul(state ^ (state >>> 15), state | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return (word ^ (word >>> 14)) >>> 0
  }
}
