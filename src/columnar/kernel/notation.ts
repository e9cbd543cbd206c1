/** The notation of ECMA-262, Number::toString, for digits that `double.ts` and `float.ts` found. */
import { writeI32, writeU64 } from './integer'

const ZERO: u8 = 0x30
const POINT: u8 = 0x2e
/** `0.000000` */
const SMALL: u64 = 0x3030_3030_3030_2e30

/** digits * 10^exponent; digits from 1 to 10^17. Zeros at their end are dropped. */
export function writeNumber(digits: u64, exponent: i32, dst: usize): usize {
  while (digits % 10 == 0) {
    digits /= 10
    exponent++
  }
  let count = 1
  for (let rest = digits; rest >= 10; rest /= 10) count++
  const point = count + exponent
  if (point > 21 || point < -5) return writeExponent(digits, point - 1, dst)
  if (point <= 0) {
    store<u64>(dst, SMALL)
    return writeU64(digits, dst + 2 - point)
  }
  const end = writeU64(digits, dst)
  if (exponent >= 0) {
    memory.fill(end, ZERO, exponent)
    return end + exponent
  }
  const at = dst + point
  v128.store(at + 1, v128.load(at))
  store<u8>(at, POINT)
  return end + 1
}

function writeExponent(digits: u64, exponent: i32, dst: usize): usize {
  let end = writeU64(digits, dst + 1)
  store<u8>(dst, load<u8>(dst + 1))
  store<u8>(dst + 1, POINT)
  if (end == dst + 2) end = dst + 1
  // "e+" or "e-"
  store<u16>(end, exponent < 0 ? 0x2d65 : 0x2b65)
  return writeI32(abs(exponent), end + 2)
}
