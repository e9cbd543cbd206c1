/** Dates, times and timestamps between text and numbers, at full precision: the one text form that each has in millrace. */

export const DAY_NANOS = 86_400_000_000_000n
const SECOND_NANOS = 1_000_000_000n

/** Days since 1970-01-01 of `YYYY-MM-DD` or `±YYYYYY-MM-DD`, or undefined where there is no such day. */
export function readDate(text: string): number | undefined {
  const match = /^(\d{4}|[+-]\d{6})-(\d\d)-(\d\d)$/.exec(text)
  if (!match || match[1] === '-000000') return undefined
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])]
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  const real = date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  return real ? date.getTime() / 86_400_000 : undefined
}

export function readDateNanos(text: string): bigint | undefined {
  const days = readDate(text)
  return days === undefined ? undefined : BigInt(days) * DAY_NANOS
}

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
 * `YYYY-MM-DD`; years outside 0000-9999 as `±YYYYYY` (proleptic Gregorian). `days`: since 1970-01-01, any 32-bit value,
 * which is more than `Date` can hold. Algorithm: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
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

/** `HH:MM:SS` with the fewest of 0, 3, 6, 9 fractional digits that lose nothing. `nanos`: since midnight. */
export function formatTime(nanos: bigint): string {
  const seconds = Number(nanos / SECOND_NANOS)
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}${formatFraction(Number(nanos % SECOND_NANOS))}`
}

/** RFC 3339 in UTC. `nanos`: since the epoch. */
export function formatTimestamp(nanos: bigint): string {
  const days = nanos >= 0n ? nanos / DAY_NANOS : -ceilDivide(-nanos, DAY_NANOS)
  return `${formatDate(Number(days))}T${formatTime(nanos - days * DAY_NANOS)}Z`
}

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
