import { describe, expect, it } from 'vitest'
import { closest } from '../../src/core/close-names.ts'

describe('closest', () => {
  it.each<[string, readonly string[], readonly string[]]>([
    ['tokn', ['block', 'token', 'TOKEN', 'amount'], ['token', 'TOKEN']],
    ['token', ['token'], ['token']],
    ['transfers', ['transfer', 'transferred', 'flights'], ['transfer', 'transferred']],
    ['a', ['b', 'abcd', ''], ['b', '']],
    ['abcdef', ['uvwxyz'], []],
    ['x', [], []],
    ['name', ['nam1', 'nam2', 'nam3', 'nam4'], ['nam1', 'nam2', 'nam3']],
  ])('to %s of %j', (name, names, expected) => {
    expect(closest(name, names)).toEqual(expected)
  })
})
