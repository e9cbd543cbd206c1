/** Milliseconds to wait by a `Retry-After` header: seconds or a date (RFC 9110, section 10.2.3); undefined for anything else. */
export function readRetryAfter(value: string | string[] | undefined, now: number = Date.now()): number | undefined {
  const text = (Array.isArray(value) ? value[0] : value)?.trim() ?? ''
  if (/^\d+$/.test(text)) return Number(text) * 1000
  // each of its three forms begins with a day of the week; the one of asctime() leaves its zone unsaid
  if (!/^[A-Z][a-z]+,? /.test(text)) return undefined
  const time = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`)
  return Number.isNaN(time) ? undefined : Math.max(0, time - now)
}
