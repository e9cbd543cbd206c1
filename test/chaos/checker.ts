/**
 * The judge, in a process of its own: `node checker.ts <case as JSON>`. Reads destinations back with readers that share nothing
 * with the engine and says, in one line of JSON, how they compare with what was staged.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { topicsOf } from '../sinks/kafka/topics.ts'
import { expectedPayloads, type Window } from './table.ts'

export interface Case {
  readonly database: string
  readonly window: Window
  readonly destinations: readonly Read[]
}

export type Read =
  | { readonly type: 'kafka'; readonly brokers: readonly string[]; readonly topic: string; readonly keyed: boolean }
  | { readonly type: 'file'; readonly dir: string }

/** In rows. */
export interface Finding {
  readonly type: Read['type']
  readonly staged: number
  /** Of those staged. */
  readonly delivered: number
  readonly lost: number
  /** Staged rows that arrived with another payload or key. */
  readonly wrong: number
  /** What arrived and was never staged. */
  readonly unstaged: number
  /** What arrived once more than the first time. */
  readonly duplicated: number
}

interface Arrived {
  readonly payload: string
  /** Where the destination has keys. */
  readonly key?: string | null
}

async function judge(read: Read, expected: ReadonlyMap<number, string>): Promise<Finding> {
  const seen = new Set<number>()
  const found = { wrong: 0, unstaged: 0, duplicated: 0 }
  for (const { payload, key } of await arrivals(read)) {
    const id = Number(/^\{"id":(\d+)[,}]/.exec(payload)?.[1] ?? -1)
    const right = expected.get(id)
    if (right === undefined) found.unstaged++
    else if (payload !== right || (key !== undefined && key !== keyOf(right))) found.wrong++
    else if (seen.has(id)) found.duplicated++
    else seen.add(id)
  }
  const [staged, delivered] = [expected.size, seen.size]
  return { type: read.type, staged, delivered, lost: staged - delivered, ...found }
}

function keyOf(payload: string): string {
  return (JSON.parse(payload) as { account: string }).account
}

async function arrivals(read: Read): Promise<readonly Arrived[]> {
  if (read.type === 'file') return linesIn(read.dir)
  const records = await topicsOf(read.brokers).read(read.topic)
  return records.map(({ key, value }) => ({ payload: value, ...(read.keyed ? { key } : {}) }))
}

/** Half a line at the end of a file counts as one that was never staged. */
async function linesIn(dir: string): Promise<readonly Arrived[]> {
  const names = (await readdir(dir).catch(() => [])).filter(name => name.endsWith('.jsonl'))
  const files = await Promise.all(names.map(name => readFile(join(dir, name), 'utf8')))
  return files.flatMap(text => {
    const lines = text.split('\n')
    return (lines.at(-1) === '' ? lines.slice(0, -1) : lines).map(payload => ({ payload }))
  })
}

const { database, window, destinations } = JSON.parse(process.argv[2]!) as Case
const expected = await expectedPayloads(database, window)
const findings: Finding[] = []
for (const read of destinations) findings.push(await judge(read, expected))
console.log(JSON.stringify(findings))
