/** The table that is backfilled: its rows have an id each, and values that are easily spoilt on the way. */
import { DuckDBInstance } from '@duckdb/node-api'

export const TABLE = 'payments'
export const TABLE_ROWS = 150_000

/** A row a second, so that a window of n seconds holds n rows. */
export const FIRST_SECOND: number = Date.UTC(2026, 2, 1) / 1_000

export interface Window {
  /** ISO 8601; `end` is exclusive. */
  readonly start: string
  readonly end: string
}

export async function makeTable(path: string): Promise<void> {
  const instance = await DuckDBInstance.create(path)
  const connection = await instance.connect()
  await connection.run(`
    CREATE TABLE ${TABLE} AS SELECT
      i AS id,
      make_timestamp((${FIRST_SECOND} + i) * 1000000 + CASE i % 3 WHEN 0 THEN 0 WHEN 1 THEN 250000 ELSE 123456 END) AS paid_at,
      '0x' || md5('account' || (hash(i) % 5000)) AS account,
      CAST((hash(i + 1) % 1000000000) / 1000000.0 AS DECIMAL(18, 6)) AS amount,
      CAST(hash(i + 2) % 1000003 AS DOUBLE) / 1009 AS ratio,
      CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'a "quoted" \\ line' || chr(10) || i
        WHEN 3 THEN 'żółw 🐢 ' || i ELSE 'note ' || i END AS note
    FROM range(${TABLE_ROWS}) t(i)`)
  connection.closeSync()
  instance.closeSync()
}

/** What a destination has to get of each row of the window, by itself: from DuckDB's values, with no code of the engine. */
export async function expectedPayloads(path: string, { start, end }: Window): Promise<Map<number, string>> {
  const instance = await DuckDBInstance.create(path, { access_mode: 'READ_ONLY' })
  const connection = await instance.connect()
  const reader = await connection.runAndReadAll(`
    SELECT CAST(id AS INTEGER), strftime(paid_at, '%Y-%m-%dT%H:%M:%S'), CAST(epoch_us(paid_at) % 1000000 AS INTEGER), account,
      CAST(amount AS VARCHAR), ratio, note
    FROM ${TABLE} WHERE paid_at >= TIMESTAMP '${start}' AND paid_at < TIMESTAMP '${end}'`)
  const payloads = new Map<number, string>()
  for (const row of reader.getRows() as [number, string, number, string, string, number, string | null][]) {
    const [id, second, micros, account, amount, ratio, note] = row
    const at = `"${second}${fractionOf(micros)}Z"`
    const numbers = `"amount":${amount},"ratio":${JSON.stringify(ratio)}`
    const texts = { account: JSON.stringify(account), note: JSON.stringify(note) }
    payloads.set(id, `{"id":${id},"paid_at":${at},"account":${texts.account},${numbers},"note":${texts.note}}`)
  }
  connection.closeSync()
  instance.closeSync()
  return payloads
}

/** The fewest of 0, 3 and 6 digits that lose nothing. */
function fractionOf(micros: number): string {
  if (micros === 0) return ''
  const digits = String(micros).padStart(6, '0')
  return digits.endsWith('000') ? `.${digits.slice(0, 3)}` : `.${digits}`
}
