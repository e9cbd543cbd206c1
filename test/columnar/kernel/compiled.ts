import { readFile } from 'node:fs/promises'
import asc from 'assemblyscript/asc'

/** How far behind its end a value may be overwritten. */
const SLACK = 32
const UNTOUCHED = 0xa5
/** More than any test writes. */
const ROOM = 1024
/** What is read too far must not count: as text, as the rest of a character that was cut off, as what ends it. */
const FOLLOWING = ['61', '80', '8061', '808061', '80808061', '22'].map(hex =>
  Buffer.from(hex.padEnd(64, hex.slice(-2)), 'hex'),
)
/** Addresses for input and output, above what the compiled file keeps for itself. */
const [SOURCE, TARGET] = [0x10000, 0x20000]
const PAGES = 4

/** One file of the kernel by itself, compiled as `scripts/build-kernel.js` compiles them all. */
export interface CompiledFile<Exports> {
  readonly exports: Exports
  /** What a writer writes, as text; throws where it writes further behind that than it may. */
  text(write: (target: number) => number): string
  /** The same with bytes to read, which others follow. */
  textOf(bytes: Uint8Array, write: (source: number, length: number, target: number) => number): string
}

export async function compileKernelFile<Exports>(name: string): Promise<CompiledFile<Exports>> {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES })
  const module = new WebAssembly.Module(await compile(`src/columnar/kernel/${name}`))
  const exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports
  const buffer = Buffer.from(memory.buffer)

  function text(write: (target: number) => number): string {
    buffer.fill(UNTOUCHED, TARGET, TARGET + ROOM)
    const end = write(TARGET)
    if (end < TARGET || end > TARGET + ROOM - 2 * SLACK)
      throw new Error(`${end - TARGET} bytes are no plausible length`)
    for (let at = end + SLACK; at < end + 2 * SLACK; at++) {
      if (buffer[at] !== UNTOUCHED) throw new Error(`written ${at - end} bytes behind the end`)
    }
    const written = buffer.toString('utf8', TARGET, end)
    if (!Buffer.from(written).equals(buffer.subarray(TARGET, end))) throw new Error('what is written is no UTF-8')
    return written
  }

  let turn = 0

  function textOf(bytes: Uint8Array, write: (source: number, length: number, target: number) => number): string {
    const following = FOLLOWING[turn++ % FOLLOWING.length]!
    buffer.fill(following, SOURCE + bytes.length, SOURCE + bytes.length + SLACK)
    buffer.set(bytes, SOURCE)
    return text(target => write(SOURCE, bytes.length, target))
  }

  return { exports, text, textOf }
}

async function compile(file: string): Promise<Uint8Array<ArrayBuffer>> {
  let binary: Uint8Array<ArrayBuffer> | undefined
  const { error, stderr } = await asc.main(
    [
      file,
      ...['--outFile', 'binary', '-O3', '--noAssert', '--runtime', 'minimal', '--use', 'abort='],
      ...['--enable', 'simd', '--enable', 'bulk-memory', '--importMemory', '--initialMemory', `${PAGES}`],
      ...['--maximumMemory', `${PAGES}`],
    ],
    {
      readFile: path => readFile(path, 'utf8').catch(() => null),
      writeFile: (_path, contents) => {
        binary = Uint8Array.from(contents as Uint8Array)
      },
      listFiles: () => null,
    },
  )
  if (error || !binary) throw new Error(`${file} does not compile: ${stderr}`)
  return binary
}
