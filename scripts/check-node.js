// Says clearly when a script runs on a Node that is too old, before something obscure does.
import { readFileSync } from 'node:fs'

const { engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
const needed = engines.node.replace('>=', '')
const parts = version => version.split('.').map(Number)
const [a, b] = [parts(process.versions.node), parts(needed)]
const difference = a.map((part, index) => part - b[index]).find(each => each !== 0) ?? 0

if (difference < 0) {
  console.error(
    `millrace needs Node ${needed} or newer, and this is ${process.versions.node} (${process.execPath}).\n` +
      'Its npm scripts bring their own: run "npm ci" without --ignore-scripts, which installs the npm package "node".',
  )
  process.exit(1)
}
