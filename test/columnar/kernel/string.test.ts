import { describe, expect, it } from 'vitest'
import { compileKernelFile } from './compiled.ts'
import { withRandomWords } from './random.ts'

interface Strings {
  writeJsonString(source: number, length: number, target: number): number
  writeText(source: number, length: number, target: number): number
}

const { exports, textOf } = await compileKernelFile<Strings>('string.ts')

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

function check(bytes: Uint8Array): void {
  const text = decoder.decode(bytes)
  const hex = Buffer.from(bytes).toString('hex')
  const json = textOf(bytes, exports.writeJsonString)
  if (json !== JSON.stringify(text)) expect({ hex, json }).toEqual({ hex, json: JSON.stringify(text) })
  const raw = textOf(bytes, exports.writeText)
  if (raw !== text) expect({ hex, raw }).toEqual({ hex, raw: text })
}

/** `inner` at each place of strings of `fill`, of lengths around one and two vectors. */
function checkEverywhere(inner: Uint8Array, fill: number): void {
  for (const rest of [0, 1, 14, 15, 16, 17, 31, 32, 33, 47]) {
    for (let before = 0; before <= rest; before++) {
      check(Buffer.concat([Buffer.alloc(before, fill), inner, Buffer.alloc(rest - before, fill)]))
    }
  }
}

/** Well-formed and not, of each length and at each end of each range. */
const CHARACTERS = [
  '\u0080',
  '\u07ff',
  '\u0800',
  '\ud7ff',
  '\ue000',
  '\ufeff',
  '\uffff',
  '\u{10000}',
  '\u{10ffff}',
  '\u007f',
]
const ILL_FORMED = [
  // lone continuations, bytes that are never used, overlong forms, surrogates, beyond U+10FFFF
  ...['80', 'bf', 'c0', 'c180', 'c0af', 'f5808080', 'fe', 'ff', 'e08080', 'e09fbf', 'f0808080', 'f08fbfbf'],
  ...['eda080', 'edbfbf', 'f4908080', 'f7bfbfbf', 'f8888080'],
  // cut off after each byte
  ...['c3', 'e2', 'e282', 'e0a0', 'ed9f', 'f0', 'f09f', 'f09f98', 'f48fbf', 'f1', 'f180', 'f18080'],
  // cut off, and something else follows
  ...['c341', 'e24180', 'e28241', 'f09f9841', 'f09f41', 'e282c3a9', 'f09f98f09f9880', 'c3c3a9', '80c3a980'],
].map(hex => Buffer.from(hex, 'hex'))

describe('strings in the kernel', () => {
  it('escape every byte as JSON.stringify does, at each place', () => {
    for (let byte = 0; byte < 128; byte++) checkEverywhere(Uint8Array.of(byte), 0x61)
  })

  it('keep characters beyond ASCII, at each place', () => {
    for (const character of CHARACTERS) {
      checkEverywhere(Buffer.from(character), 0x61)
      checkEverywhere(Buffer.from(`${character}"${character}`), 0x0a)
    }
  })

  it('replace what is no UTF-8 as a TextDecoder does, at each place', () => {
    for (const bytes of ILL_FORMED) {
      checkEverywhere(bytes, 0x61)
      checkEverywhere(bytes, 0x80)
    }
  })

  it('keep every character there is', () => {
    for (let from = 0; from < 0x110000; from += 64) {
      check(Buffer.from(String.fromCodePoint(...Array.from({ length: 64 }, (_, i) => from + i))))
    }
  })

  it('judge any two bytes after any first byte of three or four', () => {
    for (let lead = 0xe0; lead < 0x100; lead++) {
      for (let second = 0x70; second < 0xd0; second++) {
        for (const third of [0x41, 0x80, 0xbf, 0xc3]) {
          check(Uint8Array.of(lead, second, third))
          check(Uint8Array.of(0x61, lead, second, third, 0x80, 0x61))
        }
      }
    }
  })

  it('write any mixture of any length', () => {
    const wellFormed = [...CHARACTERS, '"\\\n\u0001', 'é', 'Ω', '漢', '😀'].map(text => Buffer.from(text))
    withRandomWords(20, next => {
      for (let i = 0; i < 700; i++) {
        // of eight pieces: plain ones, then well-formed ones, then the others
        const [plain, known] = [next() % 9, next() % 9]
        const chunks: Uint8Array[] = []
        for (let length = i % 71; length > 0; length -= chunks.at(-1)!.length) {
          const isPlain = next() % 8 < plain
          const pieces = next() % 8 < known ? wellFormed : [...ILL_FORMED, Uint8Array.of(next())]
          chunks.push(isPlain ? Buffer.from('0123456789abcdef').subarray(next() % 16) : pieces[next() % pieces.length]!)
        }
        check(Buffer.concat(chunks))
      }
    })
  })
})
