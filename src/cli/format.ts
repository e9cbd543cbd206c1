/** Numbers as people read them. */

const whole = new Intl.NumberFormat('en')
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 })
const digits = new Intl.NumberFormat('en', { maximumSignificantDigits: 3, useGrouping: false })

/** `1,234,567` */
export function formatCount(count: number): string {
  return whole.format(count)
}

/** `1.23 M` */
export function formatCompact(count: number): string {
  return compact.format(count).replace(/(?=[A-Z])/, ' ')
}

/** Decimal units: `45.2 MB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  const power = Math.max(0, Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3)))
  return `${digits.format(bytes / 1000 ** power)} ${units[power]}`
}

/** Two units at most: `850 ms`, `12.3 s`, `3 min 5 s`, `2 h 10 min`, `4 d 1 h`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${digits.format(ms / 1_000)} s`
  const seconds = Math.round(ms / 1_000)
  if (seconds < 3_600) return pair(seconds, 60, 'min', 's')
  const minutes = Math.round(seconds / 60)
  if (minutes < 24 * 60) return pair(minutes, 60, 'h', 'min')
  return pair(Math.round(minutes / 60), 24, 'd', 'h')
}

function pair(amount: number, size: number, unit: string, smaller: string): string {
  const rest = amount % size
  return `${Math.floor(amount / size)} ${unit}${rest > 0 ? ` ${rest} ${smaller}` : ''}`
}

/** Columns as wide as their widest cell, two spaces apart. Columns in `right` align to the right. */
export function formatTable(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const columns = Math.max(0, ...rows.map(row => row.length))
  const widths = Array.from({ length: columns }, (_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (right.includes(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
  return rows.map(row => `${line(row).join('  ').trimEnd()}\n`).join('')
}
