import { describe, expect, it } from 'vitest'
import { compileKernelFile } from './compiled.ts'
import { withRandomWords } from './random.ts'

interface Base64 {
  writeBase64(source: number, length: number, target: number): number
}

const { exports, textOf } = await compileKernelFile<Base64>('base64.ts')

const written = (bytes: Uint8Array): string => textOf(bytes, exports.writeBase64)

describe('base64 in the kernel', () => {
  it.each([
    ['', ''],
    ['f', 'Zg=='],
    ['fo', 'Zm8='],
    ['foo', 'Zm9v'],
    ['foob', 'Zm9vYg=='],
    ['fooba', 'Zm9vYmE='],
    ['foobar', 'Zm9vYmFy'],
  ])('is that of RFC 4648, section 10, for %j', (text, expected) => {
    expect(written(Buffer.from(text))).toBe(expected)
  })

  it('knows every character of the alphabet, at every place', () => {
    for (let pair = 0; pair < 4096; pair++) {
      const bytes = Uint8Array.of(pair >> 4, ((pair & 15) << 4) | (pair >> 8), pair & 255)
      expect(written(bytes)).toBe(Buffer.from(bytes).toString('base64'))
    }
  })

  it('writes any bytes of any length', () => {
    withRandomWords(20, next => {
      for (let length = 0; length < 70; length++) {
        const bytes = Buffer.from(Uint8Array.from({ length }, next))
        expect(written(bytes)).toBe(bytes.toString('base64'))
      }
    })
  })
})
