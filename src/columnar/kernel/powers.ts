/**
 * Powers of ten to 128 bits, for `double.ts` and `float.ts`: for each exponent k from LEAST to MOST the g with
 * (g - 1) * 2^r <= 10^k < g * 2^r and 2^127 < g <= 2^128, r being floor(log2(10^k)) - 127 (R. Giulietti, "The Schubfach way
 * to render doubles", 2020, section 9).
 *
 * They are computed when the kernel is instantiated, with numbers of 38 words: ten thousand bytes of constants would have to
 * be trusted, and their generator kept. The positive powers are multiplied up from 1; the negative ones are 2^1184 divided
 * by ten again and again, which is exact, as floor(floor(x / 10) / 10) = floor(x / 100).
 */

/** Of the largest double, and of the smallest. */
const LEAST = -292
const MOST = 324
/** 10^324 has 1,077 bits; 2^1184 / 10^292 still has 214. */
const WORDS = 38

const number = memory.data(WORDS * 4)
const table = memory.data((MOST - LEAST + 1) * 16, 8)

fill()

/** The upper 64 bits of g. */
// @ts-ignore: decorator
@inline
export function powerHigh(exponent: i32): u64 {
  return load<u64>(entry(exponent))
}

/** The lower 64 bits of g. */
// @ts-ignore: decorator
@inline
export function powerLow(exponent: i32): u64 {
  return load<u64>(entry(exponent), 8)
}

function fill(): void {
  setWord(0, 1)
  for (let exponent = 0; exponent <= MOST; exponent++) {
    keep(exponent)
    multiply()
  }
  memory.fill(number, 0, WORDS * 4)
  setWord(WORDS - 1, 1)
  for (let exponent = -1; exponent >= LEAST; exponent--) {
    divide()
    keep(exponent)
  }
}

function multiply(): void {
  let carry: u64 = 0
  for (let index = 0; index < WORDS; index++) {
    carry += <u64>word(index) * 10
    setWord(index, <u32>carry)
    carry >>= 32
  }
}

function divide(): void {
  let rest: u64 = 0
  for (let index = WORDS - 1; index >= 0; index--) {
    rest = (rest << 32) | word(index)
    setWord(index, <u32>(rest / 10))
    rest %= 10
  }
}

/** Keeps the top 128 bits of the number, plus one in the last place; no carry comes of that, as no lower half is all ones. */
function keep(exponent: i32): void {
  let top = WORDS - 1
  while (word(top) == 0) top--
  const shift = clz(word(top))
  const high = (<u64>shifted(top, shift) << 32) | shifted(top - 1, shift)
  const low = ((<u64>shifted(top - 2, shift) << 32) | shifted(top - 3, shift)) + 1
  store<u64>(entry(exponent), high)
  store<u64>(entry(exponent), low, 8)
}

/** The word at `index` of the number shifted to the left, which stays as long as it was. */
function shifted(index: i32, bits: u32): u32 {
  return <u32>((((<u64>word(index) << 32) | word(index - 1)) << bits) >> 32)
}

/** The lowest word is at 0; below it there are zeros. */
function word(index: i32): u32 {
  return index < 0 ? 0 : load<u32>(number + (<usize>index << 2))
}

function setWord(index: i32, value: u32): void {
  store<u32>(number + (<usize>index << 2), value)
}

// @ts-ignore: decorator
@inline
function entry(exponent: i32): usize {
  return table + (<usize>(exponent - LEAST) << 4)
}
