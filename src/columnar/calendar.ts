/**
 * Dates, times and timestamps between text and numbers, at full precision: the one text form that each has in millrace.
 *
 * Numbers where every value of the type is a safe integer (days, seconds), bigint where not (nanoseconds since the epoch).
 * `Date` is not used: it ends at the years ±271,821, and a 32-bit count of days reaches ±5,881,580.
 */

export const DAY_NANOS = 86_400_000_000_000n
const SECOND_NANOS = 1_000_000_000n

/** Days since 1970-01-01 of `YYYY-MM-DD` or `±YYYYYY-MM-DD` (up to 12 digits), or undefined where there is no such day. */
export function readDate(text: string): number | undefined {
  const match = /^(\d{4}|[+-]\d{6,12})-(\d\d)-(\d\d)$/.exec(text)
  if (!match || /^-0+$/.test(match[1]!)) return undefined
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])]
  if (month < 1 || month > 12 || day < 1 || day > daysOfMonth(year, month)) return undefined
  return daysSinceEpoch(year, month, day)
}

function daysOfMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/** Algorithm: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const shiftedYear = month <= 2 ? year - 1 : year
  const era = Math.floor(shiftedYear / 400)
  const yearOfEra = shiftedYear - era * 400
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

export function readDateNanos(text: string): bigint | undefined {
  const days = readDate(text)
  return days === undefined ? undefined : BigInt(days) * DAY_NANOS
}

/** Nanoseconds since midnight of `HH:MM[:SS[.f]]` with up to 9 fractional digits, or undefined where there is no such time. */
export function readTime(text: string): bigint | undefined {
  const match = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?$/.exec(text)
  if (!match) return undefined
  const [hours, minutes, seconds] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)]
  if (hours > 23 || minutes > 59 || seconds > 59) return undefined
  return BigInt(hours * 3600 + minutes * 60 + seconds) * SECOND_NANOS + BigInt((match[4] ?? '').padEnd(9, '0'))
}

/** Nanoseconds since the epoch of an ISO 8601 date and time; no offset means UTC. Undefined where there is no such instant. */
export function readTimestamp(text: string): bigint | undefined {
  const match = /^([+-]?\d+-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d(?::?\d\d)?)?$/i.exec(text)
  if (!match) return undefined
  const date = readDateNanos(match[1]!)
  const time = readTime(match[2]!)
  const offset = readOffset(match[3] ?? 'Z')
  return date === undefined || time === undefined || offset === undefined ? undefined : date + time - offset
}

function readOffset(text: string): bigint | undefined {
  if (text.toUpperCase() === 'Z') return 0n
  const [hours, minutes] = [Number(text.slice(1, 3)), Number(text.slice(3).replace(':', '') || 0)]
  if (hours > 23 || minutes > 59) return undefined
  return BigInt((text[0] === '-' ? -1 : 1) * (hours * 60 + minutes)) * 60n * SECOND_NANOS
}

/**
 * `YYYY-MM-DD`; years outside 0000-9999 as `±YYYYYY`, with more digits where needed (proleptic Gregorian). `days`: since
 * 1970-01-01, any safe integer. Algorithm: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
 */
export function formatDate(days: number): string {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  return `${formatYear(year)}-${two(month)}-${two(day)}`
}

function formatYear(year: number): string {
  if (year >= 0 && year <= 9999) return String(year).padStart(4, '0')
  return (year < 0 ? '-' : '+') + String(Math.abs(year)).padStart(6, '0')
}

/**
 * `HH:MM:SS` with the fewest of 0, 3, 6, 9 fractional digits that lose nothing. `nanos`: since midnight; what is no time of
 * day (`24:00:00`, `-00:00:01`) is written all the same.
 */
export function formatTime(nanos: bigint): string {
  if (nanos < 0n) return `-${formatTime(-nanos)}`
  return formatClock(Number(nanos / SECOND_NANOS), Number(nanos % SECOND_NANOS))
}

/** RFC 3339 in UTC. `nanos`: since the epoch. */
export function formatTimestamp(nanos: bigint): string {
  const days = -ceilDivide(-nanos, DAY_NANOS)
  return `${formatDate(Number(days))}T${formatTime(nanos - days * DAY_NANOS)}Z`
}

/** A time of day from whole seconds since midnight and the nanoseconds beyond them. */
export function formatClock(seconds: number, nanos: number): string {
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  return `${two(hours)}:${two(minutes - hours * 60)}:${two(seconds - minutes * 60)}${formatFraction(nanos)}`
}

/** `.fff`, `.ffffff`, `.fffffffff`, or nothing: the fewest digits that lose nothing. */
function formatFraction(nanos: number): string {
  if (nanos === 0) return ''
  const digits = String(nanos).padStart(9, '0')
  return `.${digits.endsWith('000000') ? digits.slice(0, 3) : digits.endsWith('000') ? digits.slice(0, 6) : digits}`
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value)
}

/** Divides towards positive infinity. */
export function ceilDivide(value: bigint, by: bigint): bigint {
  const quotient = value / by
  return value % by > 0n ? quotient + 1n : quotient
}

/**
 * ISO 8601 duration of elapsed time, no unit above the hour: a day is not always 24 hours. `PT36H0.500S`, `-PT1S`,
 * `PT0S`. The sign stands in front (ISO 8601-2), as `Temporal.Duration` reads it.
 */
export function formatDuration(nanos: bigint): string {
  return formatInterval(0, 0, nanos)
}

/**
 * ISO 8601 duration of a calendar interval: `P1Y2M3DT4H5M6.789S`. Months become years and months, nanoseconds hours,
 * minutes and seconds; days stay days. Parts of different signs keep a sign each (`P1M-3D`), as ISO 8601-2 allows and
 * PostgreSQL writes.
 */
export function formatInterval(months: number, days: number, nanos: bigint): string {
  if (months <= 0 && days <= 0 && nanos <= 0n && (months < 0 || days < 0 || nanos < 0n)) {
    return `-${formatInterval(-months, -days, -nanos)}`
  }
  const seconds = nanos / SECOND_NANOS
  const date = part(Math.trunc(months / 12), 'Y') + part(months % 12, 'M') + part(days, 'D')
  const time =
    part(Number(seconds / 3600n), 'H') +
    part(Number((seconds / 60n) % 60n), 'M') +
    secondsPart(nanos % (60n * SECOND_NANOS))
  if (time !== '') return `P${date}T${time}`
  return date === '' ? 'PT0S' : `P${date}`
}

function part(count: number, unit: string): string {
  return count === 0 ? '' : `${count}${unit}`
}

function secondsPart(nanos: bigint): string {
  if (nanos === 0n) return ''
  const size = nanos < 0n ? -nanos : nanos
  return `${nanos < 0n ? '-' : ''}${size / SECOND_NANOS}${formatFraction(Number(size % SECOND_NANOS))}S`
}
