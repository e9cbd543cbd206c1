/** A lane whose thread breaks down over files of certain names, in the ways in which a decoder may. */
import { readFileSync } from 'node:fs'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { basename } from 'node:path'

const promises = createRequire(import.meta.url)('node:fs/promises') as typeof import('node:fs/promises')
const { open } = promises
const never = new Promise<never>(() => {})

promises.open = async (path, ...options) => {
  const [, how] = /^(exits|throws|rejects|traps|exhausts)\b/.exec(basename(String(path))) ?? []
  switch (how) {
    case 'exits':
      process.exit(7)
      break
    case 'throws':
      setImmediate(() => {
        throw new TypeError('not in any promise')
      })
      return never
    case 'rejects':
      throw new RangeError('Array buffer allocation failed')
    case 'traps':
      trap()
      break
    case 'exhausts':
      exhaust()
      break
  }
  return open(path, ...options)
}
syncBuiltinESMExports()

await import('../../src/core/lane-worker.ts')

/** A module of one function, which is `unreachable`. Source: WebAssembly Core Specification, "Binary Format". */
function trap(): void {
  const code = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 8, 1, 0, 10, 5, 1, 3, 0, 0, 0x0b]
  new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(code)), {})
}

function exhaust(): void {
  const kept: unknown[] = []
  const text = readFileSync(new URL(import.meta.url), 'utf8')
  for (;;) kept.push(text.split(''))
}
