/** Source and destinations of `millrace run`: from a configuration file, or from URLs. */

import { type DestinationName, findNamed } from '../core/destination-name.ts'
import { isMillraceError, type Problem } from '../core/errors.ts'
import type { EngineOptions } from '../core/options.ts'
import type { Sink } from '../sinks/sink.ts'
import { findConfig } from './config-file.ts'
import {
  type DuckdbSource,
  type FilesSource,
  type KafkaTarget,
  parseSource,
  parseTarget,
  type Target,
} from './endpoint.ts'

export interface SetupFlags {
  readonly from?: string
  readonly to?: readonly string[]
  readonly config?: string
}

/** The one table that can be backfilled without a configuration. */
export interface TableChoice {
  readonly table: string | undefined
  readonly partitionKey: string | undefined
}

export interface Setup {
  /** What `--to` says; empty without it. */
  readonly destinations: readonly DestinationName[]
  /** Loads the drivers. Not to be called when there were problems. */
  options(): Promise<EngineOptions>
}

export function readSetup(flags: SetupFlags, choice: TableChoice, problems: Problem[]): Promise<Setup> | Setup {
  return flags.from === undefined ? configuredSetup(flags, problems) : urlSetup(flags, flags.from, choice, problems)
}

async function configuredSetup({ to = [], config: path }: SetupFlags, problems: Problem[]): Promise<Setup> {
  const found = await findConfig(path).catch((error: unknown) => {
    if (!isMillraceError(error)) throw error
    problems.push({ path: '--config', message: error.message })
    return 'broken' as const
  })
  if (found === undefined)
    problems.push({ path: '--from', message: 'is required where there is no millrace.config.ts and no --config' })
  const config = found === 'broken' ? undefined : found
  const destinations = to.flatMap(text => {
    const named = readDestination(text)
    const known = config && sinksOf(config.sinks)
    if (known === undefined) return []
    if (named && findNamed(known, named)) return [named]
    const names = known.map(sink => `${sink.type}:${sink.name}`).join(', ')
    problems.push({ path: '--to', message: `must name a sink of the configuration, which has ${names}` })
    return []
  })
  return { destinations, options: async () => config! }
}

function urlSetup({ to = [], config }: SetupFlags, from: string, choice: TableChoice, problems: Problem[]): Setup {
  const source = parseSource(from)
  if ('problem' in source) problems.push({ path: '--from', message: source.problem })
  if (config !== undefined) problems.push({ path: '--config', message: 'cannot be combined with --from' })
  if (choice.partitionKey === undefined) problems.push({ path: '--partition-key', message: 'is required with --from' })
  const targets = readTargets(to, problems)
  return {
    destinations: targets.map(({ type, name }) => ({ type, name })),
    async options() {
      const { table, partitionKey } = choice as { table: string; partitionKey: string }
      return {
        source: await createSource(source as DuckdbSource | FilesSource, table, partitionKey),
        sinks: await Promise.all(targets.map(createSink)),
      }
    },
  }
}

async function createSource(
  source: DuckdbSource | FilesSource,
  table: string,
  partitionKey: string,
): Promise<EngineOptions['source']> {
  const partitionKeys = [partitionKey]
  if (source.type === 'duckdb') {
    const { duckdbSource } = await import('../sources/duckdb.ts')
    return duckdbSource({ database: source.path, tables: { [table]: { partitionKeys } } })
  }
  const { filesSource } = await import('../sources/files.ts')
  return filesSource({ tables: { [table]: { files: source.files, partitionKeys } } })
}

export function readTargets(to: readonly string[], problems: Problem[]): readonly Target[] {
  return to.flatMap(text => {
    const target = parseTarget(text)
    if (!('problem' in target)) return [target]
    problems.push({ path: '--to', message: target.problem })
    return []
  })
}

/** `TYPE:NAME`, or `TYPE/NAME` as messages of the engine have it. */
export function readDestination(text: string): DestinationName | undefined {
  const [, type, name] = /^([^:/]+)[:/](.+)$/s.exec(text) ?? []
  return type === undefined || name === undefined ? undefined : { type, name }
}

export function sinksOf(entries: EngineOptions['sinks']): readonly Sink[] {
  return entries.map(entry => ('sink' in entry ? entry.sink : entry))
}

export async function createSink(target: Target): Promise<Sink> {
  switch (target.type) {
    case 'file':
      return (await import('../sinks/file.ts')).fileSink({ name: target.name, dir: target.dir })
    case 'null':
      return (await import('../sinks/null.ts')).nullSink(target)
    case 'stdout':
      return (await import('../sinks/stdout.ts')).stdoutSink({ name: target.name })
    case 'kafka':
      return createKafkaSink(target)
  }
}

async function createKafkaSink({ type: _, tls, ...options }: KafkaTarget): Promise<Sink> {
  const { kafkaSink } = await import('../sinks/kafka.ts')
  return kafkaSink({ ...options, ...(tls ? { tls } : {}) })
}
