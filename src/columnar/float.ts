/// <reference lib="esnext.float16" />
/**
 * The shortest decimal of a narrow float: of those that read back as the same float the one with the fewest digits, and
 * of these the nearest. Notation as in `JSON.stringify`. Doubles need nothing of their own: `String` is that for them.
 */

/**
 * The four float32, of all, that the search below gets wrong. Powers of two have half the gap below them that they have
 * above, so the nearest decimal of some length can miss where one a little further up does not. And 7.038531e-26 lies so
 * close to the middle of two floats that only a double cannot tell: read as a double and then narrowed it is the upper
 * one, read at once the lower one; so it stands for neither. No float16 is concerned.
 */
const SPECIAL = new Map([
  [2 ** -96, 1.2621775e-29],
  [2 ** 87, 1.5474251e26],
  [2 ** 90, 1.2379401e27],
  [7.038531308148791e-26, 7.0385313e-26],
])

/** `value`: a finite float32. */
export function formatFloat32(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 24) return String(value)
  const special = SPECIAL.get(Math.abs(value))
  if (special !== undefined) return String(value < 0 ? -special : special)
  return shortest(value, Math.fround, Math.abs(value) < 2 ** -126 ? 1 : 6, 9)
}

/** `value`: a finite float16. */
export function formatFloat16(value: number): string {
  return shortest(value, Math.f16round, Math.abs(value) < 2 ** -14 ? 1 : 3, 5)
}

/**
 * `least`: digits below which no two decimals read back as the same float, so that zeros at the end of the first try are
 * all there is to drop, and `String` drops them. `most`: digits that always suffice.
 */
function shortest(value: number, round: (value: number) => number, least: number, most: number): string {
  for (let digits = least; digits < most; digits++) {
    const nearest = Number(value.toPrecision(digits))
    if (round(nearest) === value) return String(evenOfTwo(value, digits, round) ?? nearest)
  }
  return String(Number(value.toPrecision(most)))
}

/**
 * Of two decimals equally near the even one is right (ECMA-262, Number::toString), but `toPrecision` takes the upper. It
 * takes a value of at most nine digits for that, which has at most twelve bits behind the point.
 */
function evenOfTwo(value: number, digits: number, round: (value: number) => number): number | undefined {
  if (!Number.isInteger(value * 4096)) return undefined
  const oneMore = value.toExponential(digits)
  if (!/[02468]\.?5e/.test(oneMore) || value.toExponential(100).replace(/0+e/, 'e') !== oneMore) return undefined
  const lower = Number(oneMore.replace('5e', 'e'))
  return round(lower) === value ? lower : undefined
}
