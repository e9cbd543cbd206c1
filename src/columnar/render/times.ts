/** Dates, times, timestamps, durations and intervals as text (`calendar.ts`). None of these functions looks at NULLs. */
import {
  type Data,
  type Date_,
  DateUnit,
  type Duration,
  type Interval,
  IntervalUnit,
  type Time,
  type Timestamp,
} from 'apache-arrow'
import {
  ceilDivide,
  formatClock,
  formatDate,
  formatDuration,
  formatInterval,
  formatTime,
  formatTimestamp,
} from '../calendar.ts'
import { words } from './buffers.ts'

const TWO_32 = 2 ** 32
const DAY_SECONDS = 86_400
const DAY_MILLIS = 86_400_000n

/** By `TimeUnit`: second, millisecond, microsecond, nanosecond. */
const PER_SECOND = [1, 1e3, 1e6, 1e9] as const

export function timestampText(data: Data, type: Timestamp): (row: number) => string {
  const halves = words(data, 2)
  const perSecond = PER_SECOND[type.unit]
  const unitNanos = 1e9 / perSecond
  const date = dateMemo()
  return row => {
    const low = halves[2 * row]!
    const high = halves[2 * row + 1]!
    const seconds = wholeSeconds(low, high, perSecond)
    if (seconds === undefined) return formatTimestamp(int64(halves, 2 * row) * BigInt(unitNanos))
    const day = Math.floor(seconds / DAY_SECONDS)
    const rest = (low - Math.imul(seconds, perSecond)) >>> 0
    return `${date(day)}T${formatClock(seconds - day * DAY_SECONDS, rest * unitNanos)}Z`
  }
}

/**
 * A 64-bit count of units in whole seconds, rounded down, without BigInt, which costs several times as much. The quotient
 * of the nearest doubles is off by one at most; the remainder that tells is exact in 32 bits, whatever was lost above them.
 * undefined where that does not hold: seconds and milliseconds beyond the safe integers, years of six digits and more.
 */
function wholeSeconds(low: number, high: number, perSecond: number): number | undefined {
  const value = high * TWO_32 + (low >>> 0)
  if (perSecond <= 1e3 && !Number.isSafeInteger(value)) return undefined
  const quotient = Math.floor(value / perSecond)
  const rest = (low - Math.imul(quotient, perSecond)) | 0
  return rest < 0 ? quotient - 1 : rest >= perSecond ? quotient + 1 : quotient
}

/** Neighbouring rows mostly share their day. */
function dateMemo(): (day: number) => string {
  let known = Number.NaN
  let text = ''
  return day => {
    if (day !== known) {
      known = day
      text = formatDate(day)
    }
    return text
  }
}

export function dateText(data: Data, type: Date_): (row: number) => string {
  if (type.unit === DateUnit.DAY) {
    const days: Int32Array = data.values
    const date = dateMemo()
    return row => date(days[row]!)
  }
  const halves = words(data, 2)
  // Arrow demands whole days of this type; what a careless writer left beyond one is no part of a date
  return row => formatDate(Number(-ceilDivide(-int64(halves, 2 * row), DAY_MILLIS)))
}

export function timeText(data: Data, type: Time): (row: number) => string {
  const values: Int32Array | BigInt64Array = data.values
  const perSecond = PER_SECOND[type.unit]
  const unitNanos = 1e9 / perSecond
  return row => {
    const value = Number(values[row])
    const seconds = Math.floor(value / perSecond)
    if (seconds < 0 || seconds >= DAY_SECONDS) return formatTime(BigInt(values[row]!) * BigInt(unitNanos))
    return formatClock(seconds, (value - seconds * perSecond) * unitNanos)
  }
}

export function durationText(data: Data, type: Duration): (row: number) => string {
  const halves = words(data, 2)
  const unitNanos = BigInt(1e9 / PER_SECOND[type.unit])
  return row => formatDuration(int64(halves, 2 * row) * unitNanos)
}

export function intervalText(data: Data, type: Interval): (row: number) => string {
  switch (type.unit) {
    case IntervalUnit.YEAR_MONTH: {
      const months = words(data, 1)
      return row => formatInterval(months[row]!, 0, 0n)
    }
    case IntervalUnit.DAY_TIME: {
      const parts = words(data, 2)
      return row => formatInterval(0, parts[2 * row]!, BigInt(parts[2 * row + 1]!) * 1_000_000n)
    }
    case IntervalUnit.MONTH_DAY_NANO: {
      const parts = words(data, 4)
      return row => formatInterval(parts[4 * row]!, parts[4 * row + 1]!, int64(parts, 4 * row + 2))
    }
  }
}

function int64(parts: Int32Array, at: number): bigint {
  return (BigInt(parts[at + 1]!) << 32n) | BigInt(parts[at]! >>> 0)
}
