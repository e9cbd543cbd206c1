import { expect, test } from 'vitest'
import { idColumns, mostIdBytes, rowId } from '../../src/columnar/row-ids.ts'

const key = { table: 'transfers', columns: ['hash', 'index'] }

test('without a unique key, a row is named by its job and its place there', () => {
  expect(rowId({ job: 'job-1' }, 3, 4_294_967_295, [])).toBe('job-1-3-4294967295')
  expect(mostIdBytes({ job: 'job-1' }, 3)).toBe('job-1-3-4294967295'.length)
  expect(idColumns({ job: 'job-1' })).toEqual([])
})

test('with one, by the values of that and the table, wherever the row lies', () => {
  const id = rowId(key, 3, 4, ['0xab', '17'])
  expect(id).toBe('4ed9785efa3a57c53910af7b95a7363d')
  expect(rowId(key, 5, 6, ['0xab', '17'])).toBe(id)
  expect(mostIdBytes(key, 0)).toBe(id.length)
  expect(idColumns(key)).toEqual(['hash', 'index'])
})

test('other values have another name, also where their texts are the same one behind the other', () => {
  const ids = [
    rowId(key, 0, 0, ['ab', 'c']),
    rowId(key, 0, 0, ['a', 'bc']),
    rowId(key, 0, 0, ['', 'abc']),
    rowId(key, 0, 0, [null, 'abc']),
    rowId(key, 0, 0, ['abc', null]),
    rowId({ ...key, table: 'other' }, 0, 0, ['ab', 'c']),
  ]
  expect(new Set(ids).size).toBe(ids.length)
})
