import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { filterFromFile } from '../../src/cli/values-file.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-values-'))
})
afterEach(() => rm(dir, { recursive: true }))

const REF = `sha256:${'0'.repeat(64)}`

describe('filterFromFile', () => {
  it('takes every line as it is, but for blank ones and line ends', async () => {
    const path = await file('\ufeffa\r\n\n  \n b c \r\n"d",e\n5')
    expect(await filterFromFile('key', path, refusing)).toEqual({ column: 'key', values: ['a', ' b c ', '"d",e', '5'] })
  })

  it('puts up to 10,000 values into the request', async () => {
    const path = await file(lines(10_000).join('\n'))
    expect(await filterFromFile('key', path, refusing)).toEqual({ column: 'key', values: lines(10_000) })
  })

  it('stores more as a value set, in pieces', async () => {
    const path = await file(`${lines(25_001).join('\n')}\n`)
    const pieces: (readonly string[])[] = []
    const engine = {
      async putValues(values: AsyncIterable<readonly string[]>) {
        for await (const piece of values) pieces.push(piece)
        return { ref: REF, count: 25_001 }
      },
    }
    expect(await filterFromFile('key', path, engine)).toEqual({ column: 'key', values_ref: REF })
    expect(pieces.map(piece => piece.length)).toEqual([10_000, 10_000, 5_001])
    expect(pieces.flat()).toEqual(lines(25_001))
  })

  it('refuses a file without values', async () => {
    await expect(filterFromFile('key', await file('\n \n'), refusing)).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringMatching(/^--filter-file: .*values\.txt holds no values$/),
    })
  })
})

const refusing = {
  putValues: () => Promise.reject(new Error('no value set was expected')),
}

function lines(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `value ${index}`)
}

async function file(content: string): Promise<string> {
  const path = join(dir, 'values.txt')
  await writeFile(path, content)
  return path
}
