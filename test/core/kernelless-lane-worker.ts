/** A lane that finds no `kernel.wasm`. */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const { readFileSync } = fs
fs.readFileSync = ((...[path, options]: Parameters<typeof readFileSync>) => {
  if (String(path).endsWith('kernel.wasm')) throw new Error(`ENOENT: no such file, open ${path}`)
  return readFileSync(path, options)
}) as typeof readFileSync
syncBuiltinESMExports()

await import('../../src/core/lane-worker.ts')
