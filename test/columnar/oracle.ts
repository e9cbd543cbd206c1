/// <reference lib="esnext.float16" />
/**
 * The JSON form of every value, as plainly as it can be said: it defines what the fast renderers must print. Slow on purpose;
 * no cache, no word tricks, and nothing shared with `src/`.
 *
 * A value is what Arrow stores, as JavaScript has it: integers, decimals (unscaled), dates, times, timestamps and durations
 * (counts of their unit) are bigints; floats numbers; strings and binaries bytes; intervals {@link IntervalValue}; lists and
 * structs arrays; maps arrays of pairs; unions {@link UnionValue}; a dictionary's value is the value itself; NULL is null.
 */
import { DataType, DateUnit, Precision, TimeUnit } from 'apache-arrow'

export interface IntervalValue {
  readonly months: number
  readonly days: number
  readonly nanos: bigint
}

export interface UnionValue {
  readonly member: number
  readonly value: unknown
}

/** The value in a row's JSON. */
export function oracleJson(type: DataType, value: unknown): string {
  if (value === null) return 'null'
  if (DataType.isDictionary(type)) return oracleJson(type.dictionary, value)
  if (DataType.isList(type) || DataType.isLargeList(type) || DataType.isFixedSizeList(type)) {
    return `[${(value as unknown[]).map(item => oracleJson(type.children[0]!.type, item)).join(',')}]`
  }
  if (DataType.isStruct(type)) {
    const values = value as unknown[]
    return `{${type.children.map((field, i) => `${JSON.stringify(field.name)}:${oracleJson(field.type, values[i])}`).join(',')}}`
  }
  if (DataType.isMap(type)) {
    const pairs = (value as [unknown, unknown][]).map(([key, item]) => [
      oracleJson(type.keyType, key),
      oracleJson(type.valueType, item),
    ])
    return isText(type.keyType)
      ? `{${pairs.map(([key, item]) => `${key}:${item}`).join(',')}}`
      : `[${pairs.map(([key, item]) => `[${key},${item}]`).join(',')}]`
  }
  if (DataType.isUnion(type)) {
    const { member, value: inner } = value as UnionValue
    return oracleJson(type.children[member]!.type, inner)
  }
  const text = oracleText(type, value)
  if (text === null) return 'null'
  return isBare(type) ? text : JSON.stringify(text)
}

/** The same without quotes and escapes. */
export function oracleText(type: DataType, value: unknown): string | null {
  if (value === null) return null
  if (DataType.isDictionary(type)) return oracleText(type.dictionary, value)
  if (DataType.isUnion(type)) {
    const { member, value: inner } = value as UnionValue
    return oracleText(type.children[member]!.type, inner)
  }
  if (DataType.isNull(type)) return null
  if (DataType.isBool(type) || DataType.isInt(type)) return String(value)
  if (DataType.isDecimal(type)) return decimal(value as bigint, type.scale)
  if (DataType.isFloat(type)) return float(value as number, type.precision)
  if (isText(type)) return new TextDecoder('utf-8', { ignoreBOM: true }).decode(value as Uint8Array)
  if (DataType.isDate(type))
    return date(type.unit === DateUnit.DAY ? (value as bigint) : floor(value as bigint, 86_400_000n))
  if (DataType.isTime(type)) return time((value as bigint) * nanosPer(type.unit))
  if (DataType.isTimestamp(type)) {
    const nanos = (value as bigint) * nanosPer(type.unit)
    const day = floor(nanos, 86_400_000_000_000n)
    return `${date(day)}T${time(nanos - day * 86_400_000_000_000n)}Z`
  }
  if (DataType.isDuration(type)) return interval({ months: 0, days: 0, nanos: (value as bigint) * nanosPer(type.unit) })
  if (DataType.isInterval(type)) return interval(value as IntervalValue)
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  return oracleJson(type, value)
}

function isText(type: DataType): boolean {
  if (DataType.isDictionary(type)) return isText(type.dictionary)
  return DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isUtf8View(type)
}

function isBare(type: DataType): boolean {
  return DataType.isBool(type) || DataType.isInt(type) || DataType.isDecimal(type) || DataType.isFloat(type)
}

function decimal(unscaled: bigint, scale: number): string {
  if (scale <= 0) return String(unscaled * 10n ** BigInt(-scale))
  const one = 10n ** BigInt(scale)
  const size = unscaled < 0n ? -unscaled : unscaled
  return `${unscaled < 0n ? '-' : ''}${size / one}.${String(size % one).padStart(scale, '0')}`
}

/**
 * The decimal with the fewest digits that reads back; of several the nearest; of two equally near the even one. (7.038531e-26 has another form that this does
 * not find: a double is too coarse for it. See `float.ts`.)
 */
function float(value: number, precision: Precision): string | null {
  if (!Number.isFinite(value)) return null
  if (precision === Precision.DOUBLE) return JSON.stringify(value)
  if (value === 0) return '0'
  const narrow = precision === Precision.SINGLE ? Math.fround : Math.f16round
  for (let digits = 1; ; digits++) {
    const [mantissa, power] = value.toExponential(digits - 1).split('e') as [string, string]
    const exponent = Number(power) - digits + 1
    const nearby = [-1n, 0n, 1n].map(step => BigInt(mantissa.replace('.', '')) + step)
    const found = nearby
      .map(integer => ({ integer, read: Number(`${integer}e${exponent}`), far: distance(value, integer, exponent) }))
      .filter(({ read }) => narrow(read) === value)
    found.sort((a, b) => Number(a.far - b.far))
    const best = found.filter(({ far }) => far === found[0]!.far)
    if (best.length > 0) return JSON.stringify((best.find(({ integer }) => integer % 2n === 0n) ?? best[0])!.read)
  }
}

/** How far integer × 10^exponent is from the value, exactly, in a unit that is the same for every integer. */
function distance(value: number, integer: bigint, exponent: number): bigint {
  let denominator = 1n
  while (!Number.isInteger(value)) {
    value *= 2
    denominator *= 2n
  }
  const power = 10n ** BigInt(Math.abs(exponent))
  const difference =
    exponent < 0 ? integer * denominator - BigInt(value) * power : integer * power * denominator - BigInt(value)
  return difference < 0n ? -difference : difference
}

/** The Gregorian calendar repeats every 400 years, which are 146,097 days: borrow the years 2000 to 2399 of `Date`. */
function date(days: bigint): string {
  const era = floor(days - 10_957n, 146_097n)
  const [year, month, day] = new Date(Number(days - era * 146_097n) * 86_400_000).toISOString().split(/[-T]/) as [
    string,
    string,
    string,
  ]
  const fullYear = BigInt(year) + era * 400n
  if (fullYear >= 0n && fullYear <= 9999n) return `${String(fullYear).padStart(4, '0')}-${month}-${day}`
  const digits = String(fullYear < 0n ? -fullYear : fullYear).padStart(6, '0')
  return `${fullYear < 0n ? '-' : '+'}${digits}-${month}-${day}`
}

function time(nanos: bigint): string {
  if (nanos < 0n) return `-${time(-nanos)}`
  const parts = [nanos / 3_600_000_000_000n, (nanos / 60_000_000_000n) % 60n, (nanos / 1_000_000_000n) % 60n]
  return parts.map(part => String(part).padStart(2, '0')).join(':') + fraction(nanos % 1_000_000_000n)
}

function fraction(nanos: bigint): string {
  if (nanos === 0n) return ''
  if (nanos % 1_000_000n === 0n) return `.${String(nanos / 1_000_000n).padStart(3, '0')}`
  if (nanos % 1000n === 0n) return `.${String(nanos / 1000n).padStart(6, '0')}`
  return `.${String(nanos).padStart(9, '0')}`
}

function interval({ months, days, nanos }: IntervalValue): string {
  const parts = [BigInt(months), BigInt(days), nanos]
  if (parts.every(part => part <= 0n) && parts.some(part => part < 0n)) {
    return `-${interval({ months: -months, days: -days, nanos: -nanos })}`
  }
  const years = Math.trunc(months / 12)
  const hours = nanos / 3_600_000_000_000n
  const minutes = (nanos / 60_000_000_000n) % 60n
  const seconds = nanos % 60_000_000_000n
  let text = 'P'
  if (years !== 0) text += `${years}Y`
  if (months % 12 !== 0) text += `${months % 12}M`
  if (days !== 0) text += `${days}D`
  if (nanos !== 0n) text += 'T'
  if (hours !== 0n) text += `${hours}H`
  if (minutes !== 0n) text += `${minutes}M`
  if (seconds !== 0n) {
    const size = seconds < 0n ? -seconds : seconds
    text += `${seconds < 0n ? '-' : ''}${size / 1_000_000_000n}${fraction(size % 1_000_000_000n)}S`
  }
  return text === 'P' ? 'PT0S' : text
}

function nanosPer(unit: TimeUnit): bigint {
  switch (unit) {
    case TimeUnit.SECOND:
      return 1_000_000_000n
    case TimeUnit.MILLISECOND:
      return 1_000_000n
    case TimeUnit.MICROSECOND:
      return 1000n
    case TimeUnit.NANOSECOND:
      return 1n
  }
}

function floor(value: bigint, by: bigint): bigint {
  return (value - (((value % by) + by) % by)) / by
}
