import { describe, expect, it } from 'vitest'
import { formatBytes, formatCompact, formatCount, formatDuration, formatTable } from '../../src/cli/format.ts'

describe('numbers for people', () => {
  it.each([
    [0, '0', '0'],
    [999, '999', '999'],
    [1_234, '1,234', '1.23 K'],
    [1_234_567, '1,234,567', '1.23 M'],
    [12_345_678_901, '12,345,678,901', '12.3 B'],
  ])('%d is %s, in short %s', (count, long, short) => {
    expect(formatCount(count)).toBe(long)
    expect(formatCompact(count)).toBe(short)
  })

  it.each([
    [0, '0 B'],
    [0.4, '0.4 B'],
    [999, '999 B'],
    [1_000, '1 kB'],
    [45_210_000, '45.2 MB'],
    [3e9, '3 GB'],
    [4.5e18, '4500 PB'],
  ])('%d bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text)
  })

  it.each([
    [0, '0 ms'],
    [850.4, '850 ms'],
    [12_340, '12.3 s'],
    [60_000, '1 min'],
    [185_000, '3 min 5 s'],
    [3_599_900, '1 h'],
    [7_800_000, '2 h 10 min'],
    [97 * 3_600_000, '4 d 1 h'],
  ])('%d ms are %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })
})

describe('formatTable', () => {
  it('gives every column the width of its widest cell', () => {
    const rows = [
      ['ID', 'ROWS', 'AGE'],
      ['a', '1,000', '2 s'],
      ['bcd', '7', ''],
    ]
    expect(formatTable(rows, [1])).toBe('ID    ROWS  AGE\na    1,000  2 s\nbcd      7\n')
  })

  it('is empty without rows', () => {
    expect(formatTable([])).toBe('')
  })
})
