/**
 * Dates, times of day and timestamps, without quotes: what `../calendar.ts` prints.
 *
 * The calendar is C. Neri and L. Schneider, "Euclidean affine functions and their application to calendar algorithms" (2022):
 * years begin in March, and quotient and remainder of a division come from one multiplication.
 */
import { eightDigits, pairDigits, ZEROS } from './digits'
import { writeU64 } from './integer'

const MINUS: u8 = 0x2d
const PLUS: u8 = 0x2b
const POINT: u8 = 0x2e
const SEPARATOR: u8 = 0x54
const ZULU: u8 = 0x5a

const DAY_SECONDS: u64 = 86_400
const ERA_DAYS: u64 = 146_097
/** From 0000-03-01 to 1970-01-01. */
const EPOCH: i64 = 719_468
/** From 0000-03-01 to 10000-01-01. */
const PLAIN_DAYS: u64 = 3_652_365

/**
 * `YYYY-MM-DD`; years outside 0000-9999 as `±YYYYYY`, with more digits where needed: at most 19 bytes. `days`: since
 * 1970-01-01, up to 2^62 either way. Writes up to 8 bytes behind what it returns.
 */
export function writeDate(days: i64, dst: usize): usize {
  const shifted = days + EPOCH
  if (<u64>shifted < PLAIN_DAYS) {
    const day = civil(<u32>shifted)
    store<u32>(dst, fourDigits(<u32>(day >> 40)))
    return writeMonthAndDay(day, dst + 4)
  }
  const era = floorDivide(shifted, ERA_DAYS)
  const day = civil(<u32>(shifted - era * ERA_DAYS))
  return writeMonthAndDay(day, writeYear(era * 400 + (day >> 40), dst))
}

/**
 * `HH:MM:SS` with the fewest of 0, 3, 6, 9 fractional digits that lose nothing. `value`: since midnight, in seconds times
 * 10^unitDigits (0, 3, 6 or 9). What is no time of day (`24:00:00`, `-00:00:01`) is written all the same: at most 27 bytes.
 * Writes up to 8 bytes behind what it returns.
 */
export function writeTime(value: i64, unitDigits: i32, dst: usize): usize {
  store<u8>(dst, MINUS)
  dst += usize(value < 0)
  const size: u64 = value < 0 ? -value : value
  if (unitDigits == 0) return timeIn(size, 1, 0, dst)
  if (unitDigits == 3) return timeIn(size, 1_000, 3, dst)
  if (unitDigits == 6) return timeIn(size, 1_000_000, 6, dst)
  return timeIn(size, 1_000_000_000, 9, dst)
}

/** RFC 3339 in UTC: at most 40 bytes. `value`: since the epoch, otherwise as in {@link writeTime}. */
export function writeTimestamp(value: i64, unitDigits: i32, dst: usize): usize {
  if (unitDigits == 0) return timestampIn(value, 1, 0, dst)
  if (unitDigits == 3) return timestampIn(value, 1_000, 3, dst)
  if (unitDigits == 6) return timestampIn(value, 1_000_000, 6, dst)
  return timestampIn(value, 1_000_000_000, 9, dst)
}

// Once for each unit, as dividing by a constant is several times faster.
// @ts-ignore: decorator
@inline
function timeIn(size: u64, perSecond: u64, unitDigits: i32, dst: usize): usize {
  const seconds = size / perSecond
  const at = seconds < DAY_SECONDS ? writeClock(<u32>seconds, dst) : writeLongClock(seconds, dst)
  return writeFraction(<u32>(size - seconds * perSecond), unitDigits, at)
}

// @ts-ignore: decorator
@inline
function timestampIn(value: i64, perSecond: u64, unitDigits: i32, dst: usize): usize {
  const perDay = perSecond * DAY_SECONDS
  const days = floorDivide(value, perDay)
  const time = <u64>(value - days * perDay)
  const seconds = time / perSecond
  const at = writeDate(days, dst)
  store<u8>(at, SEPARATOR)
  const end = writeFraction(<u32>(time - seconds * perSecond), unitDigits, writeClock(<u32>seconds, at + 1))
  store<u8>(end, ZULU)
  return end + 1
}

/** Rounds down. */
// @ts-ignore: decorator
@inline
function floorDivide(value: i64, by: u64): i64 {
  return value >= 0 ? <u64>value / by : ~(<u64>~value / by)
}

/** The day that lies `days` (less than 2^29) behind 0000-03-01, as year * 2^40 + day * 2^32 + month * 2^8. */
// @ts-ignore: decorator
@inline
function civil(days: u32): u64 {
  const quarters = days * 4 + 3
  const century = quarters / 146_097
  const product = <u64>2_939_745 * ((quarters - century * 146_097) | 3)
  const dayOfYear = <u32>product / (2_939_745 * 4)
  const position = 2141 * dayOfYear + 197_913
  // January and February belong to the next year
  const isNext = u32(dayOfYear >= 306)
  const year = 100 * century + <u32>(product >> 32) + isNext
  const month = (position >> 16) - isNext * 12
  const day = (position & 0xffff) / 2141 + 1
  return (<u64>year << 40) | (<u64>day << 32) | (month << 8)
}

function writeYear(year: i64, dst: usize): usize {
  if (<u64>year <= 9999) {
    store<u32>(dst, fourDigits(<u32>year))
    return dst + 4
  }
  store<u8>(dst++, year < 0 ? MINUS : PLUS)
  const size: u64 = year < 0 ? -year : year
  if (size >= 1_000_000) return writeU64(size, dst)
  store<u64>(dst, (eightDigits(<u32>size) | ZEROS) >> 16)
  return dst + 6
}

/** A number below 10,000 with zeros in front. */
// @ts-ignore: decorator
@inline
function fourDigits(value: u32): u32 {
  const hundreds = value / 100
  return <u32>(pairDigits(hundreds | ((value - hundreds * 100) << 16), 0x000f_000f) | ZEROS)
}

/** `-MM-DD` of what {@link civil} returns. */
// @ts-ignore: decorator
@inline
function writeMonthAndDay(day: u64, dst: usize): usize {
  store<u64>(dst, pairDigits(day & 0x1f_0000_0f00, 0x0f_0000_0f00) | 0x3030_2d30_302d)
  return dst + 6
}

/** `HH:MM:SS` of a time of day. */
// @ts-ignore: decorator
@inline
function writeClock(seconds: u32, dst: usize): usize {
  const minutes = seconds / 60
  const hours = minutes / 60
  const pairs = <u64>hours | (<u64>(minutes - hours * 60) << 24) | (<u64>(seconds - minutes * 60) << 48)
  store<u64>(dst, pairDigits(pairs, 0x000f_0000_0f00_000f) | 0x3030_3a30_303a_3030)
  return dst + 8
}

/** Of a day or more. */
function writeLongClock(seconds: u64, dst: usize): usize {
  const hours = seconds / 3600
  const end = writeU64(hours, dst)
  // the hours' last two digits are overwritten by themselves
  const last = <u32>(hours % 100) * 3600 + <u32>(seconds - hours * 3600)
  return writeClock(last, end - 2)
}

/** `.fff`, `.ffffff`, `.fffffffff` or nothing. `value`: below 10^unitDigits. */
// @ts-ignore: decorator
@inline
function writeFraction(value: u32, unitDigits: i32, dst: usize): usize {
  if (value == 0) return dst
  store<u8>(dst, POINT)
  if (unitDigits == 9) {
    if (value % 1000 != 0) return writeNanos(value, dst + 1)
    value /= 1000
  }
  if (unitDigits >= 6) {
    if (value % 1000 != 0) return writeLast(value, 6, dst + 1)
    value /= 1000
  }
  return writeLast(value, 3, dst + 1)
}

function writeNanos(value: u32, dst: usize): usize {
  const millis = value / 1_000_000
  return writeLast(value - millis * 1_000_000, 6, writeLast(millis, 3, dst))
}

/** The last `count` of eight digits. */
// @ts-ignore: decorator
@inline
function writeLast(value: u32, count: i32, dst: usize): usize {
  store<u64>(dst, (eightDigits(value) | ZEROS) >> ((8 - count) << 3))
  return dst + count
}
