#!/usr/bin/env node
/** The `millrace` command. Imports nothing itself, so that an old Node hears what is wrong before it meets code it cannot read. */
import { readFileSync } from 'node:fs'

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  engines: { node: string }
}
const wanted = manifest.engines.node.replace('>=', '')

if (isOlder(process.versions.node, wanted)) {
  console.error(`millrace needs Node ${wanted} or newer; this is Node ${process.versions.node}. See https://nodejs.org`)
  process.exitCode = 2
} else {
  const { runProgram } = await import('./program.ts')
  await runProgram(process.argv)
}

function isOlder(version: string, than: string): boolean {
  const [a, b] = [version, than].map(text => text.split('.').map(Number))
  const differing = [0, 1, 2].find(index => a?.[index] !== b?.[index])
  return differing !== undefined && a![differing]! < b![differing]!
}
