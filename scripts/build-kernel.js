// Compiles the AssemblyScript kernel to src/columnar/kernel.wasm, and copies it to where the built package looks for it.
import { copyFile, mkdir } from 'node:fs/promises'
import asc from 'assemblyscript/asc'

const OUTPUT = 'src/columnar/kernel.wasm'
const { error, stderr } = await asc.main([
  'src/columnar/kernel/index.ts',
  ...['--outFile', OUTPUT],
  ...['-O3', '--noAssert', '--runtime', 'minimal', '--use', 'abort='],
  ...[
    '--enable',
    'simd',
    '--enable',
    'bulk-memory',
    '--importMemory',
    '--initialMemory',
    '2',
    '--maximumMemory',
    '65536',
  ],
])
if (error) {
  console.error(String(stderr))
  process.exit(1)
}
await mkdir('dist/columnar', { recursive: true })
await copyFile(OUTPUT, 'dist/columnar/kernel.wasm')
