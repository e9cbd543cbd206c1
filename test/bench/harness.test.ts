import { expect, test } from 'vitest'
import {
  type Contestant,
  interleave,
  quotients,
  rowsPerSecond,
  runProgram,
  series,
  spread,
} from '../../bench/harness.ts'

const calls: string[] = []

function contestant(name: string, rows: number, seconds: number): Contestant {
  return {
    name,
    rows: 100,
    async run() {
      calls.push(name)
      return { rows, seconds, cpuSeconds: 1, peakRssMb: 1 }
    },
  }
}

test('contestants take turns, and whoever was first in a round is last in the next', async () => {
  calls.length = 0

  const runs = await interleave([contestant('a', 100, 1), contestant('b', 100, 2)], 3)

  expect(calls).toEqual(['a', 'b', 'b', 'a', 'a', 'b'])
  expect(series(runs, 'a', rowsPerSecond)).toEqual([100, 100, 100])
  expect(series(runs, 'b', rowsPerSecond)).toEqual([50, 50, 50])
})

test('a contestant with a row too few is an error', async () => {
  await expect(interleave([contestant('a', 99, 1)], 1)).rejects.toThrow('a: dealt with 99 rows of 100')
})

test('a ratio is taken round by round, and its median is the middle of the rounds', () => {
  expect(quotients([2, 30, 8], [1, 10, 2])).toEqual([2, 3, 4])
  expect(spread([4, 2, 3])).toEqual({ minimum: 2, median: 3, maximum: 4 })
  expect(spread([4, 1, 2, 3])).toEqual({ minimum: 1, median: 2.5, maximum: 4 })
  expect(() => quotients([1, 2], [1])).toThrow('different rounds')
})

test('a program that fails is an error with the end of what it said', async () => {
  const failing = runProgram([process.execPath, '-e', 'throw new Error("no such file")'], {})

  await expect(failing).rejects.toThrow('no such file')
})
