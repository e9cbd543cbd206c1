/**
 * `npm run bench [-- PART ...] [--quick] [--rows N] [--rounds N]`: measures, prints a table and writes `results/latest.json`.
 * Parts: encode, rows, filter, memory, webhook, kafka, loop, pubsub, distant; all of them by default.
 */
import { access, mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { run } from '../test/servers/process.ts'
import { type Broker, startBroker } from './broker.ts'
import { describeMachine } from './machine.ts'
import { distantPart } from './parts/distant.ts'
import { encodePart } from './parts/encode.ts'
import { filterPart } from './parts/filter.ts'
import { kafkaPart } from './parts/kafka.ts'
import { loopPart } from './parts/loop.ts'
import { memoryPart } from './parts/memory.ts'
import type { Part, PartResult } from './parts/part.ts'
import { pubsubPart } from './parts/pubsub.ts'
import { rowsPart } from './parts/rows.ts'
import { webhookPart } from './parts/webhook.ts'
import { resultsOf, tableOf } from './report.ts'

/** In this order: the broker, which takes its share of the machine, is started for `kafka`. */
const PARTS: Readonly<Record<string, Part>> = {
  encode: encodePart,
  rows: rowsPart,
  filter: filterPart,
  memory: memoryPart,
  webhook: webhookPart,
  kafka: kafkaPart,
  loop: loopPart,
  pubsub: pubsubPart,
  distant: distantPart,
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, rows: { type: 'string' }, rounds: { type: 'string' } },
})
const unknown = positionals.filter(name => !(name in PARTS))
if (unknown.length > 0) {
  console.error(`unknown part ${unknown.join(', ')}; the parts are ${Object.keys(PARTS).join(', ')}`)
  process.exit(2)
}
const { quick } = values
const rows = Number(values.rows ?? (quick ? 100_000 : 1_000_000))
const rounds = Number(values.rounds ?? (quick ? 1 : 3))
const asked = Object.entries(PARTS).filter(([name]) => positionals.length === 0 || positionals.includes(name))

await installPeers()
let starting: ReturnType<typeof startBroker> | undefined
const setup = { rows, rounds, quick, broker: () => (starting ??= startBroker()), say: console.log }
const parts: PartResult[] = []
try {
  for (const [name, part] of asked) {
    console.log(`\n${name}`)
    parts.push(await part(setup))
  }
} finally {
  await closeBroker(await starting)
}
const results = resultsOf({ machine: await describeMachine(), rows, rounds, quick }, parts)
console.log(`\n${tableOf(results)}`)
await mkdir(new URL('results/', import.meta.url), { recursive: true })
await writeFile(new URL('results/latest.json', import.meta.url), `${JSON.stringify(results, undefined, 2)}\n`)

/** The peers' packages are the bench's own, so that users of the library never get them. */
async function installPeers(): Promise<void> {
  const directory = fileURLToPath(new URL('.', import.meta.url))
  const installed = await access(new URL('node_modules/', import.meta.url)).then(
    () => true,
    () => false,
  )
  if (!installed) await run('npm', ['ci', '--prefix', directory, '--no-audit', '--no-fund'])
}

async function closeBroker(broker: Broker | { readonly missing: string } | undefined): Promise<void> {
  if (broker && 'close' in broker) await broker.close()
}
