import fc from 'fast-check'
import { expect, test } from 'vitest'
import { memberText } from '../../src/columnar/row-members.ts'

test.each<[string, string, string | null]>([
  ['{"a":1,"b":2}', 'b', '2'],
  ['{"n":123456789012345678901234567890.500}', 'n', '123456789012345678901234567890.500'],
  ['{"s":"é\\n\\"😀\\\\"}', 's', 'é\n"😀\\'],
  ['{"s":"","t":"x"}', 's', ''],
  ['{"a":null,"b":true}', 'a', null],
  ['{"a":null,"b":true}', 'b', 'true'],
  ['{"o":{"b":[1,"}",{"2":1,"1":2}]},"b":"right"}', 'b', 'right'],
  ['{"o":{"b":[1,"}",{"2":1,"1":2}]},"b":"right"}', 'o', '{"b":[1,"}",{"2":1,"1":2}]}'],
  ['{"":0,"a\\"b":[]}', 'a"b', '[]'],
  ['{"":0}', '', '0'],
  ['{"a":1,"a":2}', 'a', '1'],
  ['{"a":1}', 'missing', null],
  ['{}', 'a', null],
])('of %s the member %j is %j', (row, column, expected) => {
  expect(memberText(row, column)).toBe(expected)
})

test('every member of a row is found, whatever stands in the others', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), members => {
      const row = JSON.stringify(members)
      for (const [name, value] of Object.entries(members)) {
        const expected = typeof value === 'string' || value === null ? value : JSON.stringify(value)
        expect(memberText(row, name)).toBe(expected)
      }
    }),
  )
})
