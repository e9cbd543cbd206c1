import { expect, test } from 'vitest'
import { readRetryAfter } from '../../src/core/retry-after.ts'

test('Retry-After is read in each of its forms, and what is none of them is passed over', () => {
  const now = Date.parse('Sun, 06 Nov 1994 08:49:00 GMT')
  const read = (value: string | string[] | undefined): number | undefined => readRetryAfter(value, now)
  expect([read('0'), read(' 120 '), read(['3', '4'])]).toEqual([0, 120_000, 3_000])
  // the three dates of RFC 9110, section 5.6.7
  expect(read('Sun, 06 Nov 1994 08:49:37 GMT')).toBe(37_000)
  expect(read('Sunday, 06-Nov-94 08:49:37 GMT')).toBe(37_000)
  expect(read('Sun Nov  6 08:49:37 1994')).toBe(37_000)
  expect(read('Sun, 06 Nov 1994 08:48:00 GMT')).toBe(0)
  expect([undefined, '', '-5', '1.5', '1e3', '0x10', 'soon', 'Someday, at noon'].map(read)).toEqual(
    Array(8).fill(undefined),
  )
})
