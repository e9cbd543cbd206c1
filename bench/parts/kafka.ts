/** Parquet to topic, against a client that only sends what is ready, and against other ways of doing the same. */
import type { Broker } from '../broker.ts'
import {
  DEFAULT_LANES,
  engineToKafka,
  engineToNull,
  handwritten,
  librdkafka,
  platformaticSend,
  preencoded,
  spark,
} from '../contestants.ts'
import { type StagedTable, stagedTransfers } from '../data.ts'
import { type Contestant, cpuPerMillion, interleave, quotients, rowsPerSecond, series, spread } from '../harness.ts'
import { pythonWithPeers, sparkJars } from '../peers/python.ts'
import type { Part, PartResult } from './part.ts'

const ENGINE = 'Parquet to topic'
const PREENCODED = 'ready batches to topic'
const NULL_SINK = 'Parquet to null sink'
const HANDWRITTEN = 'parquet-wasm + toJSON + kafkajs'
const PLATFORMATIC = '@platformatic/kafka send, ready rows'
const LIBRDKAFKA = 'pyarrow + orjson + librdkafka'
const SPARK = 'Spark, warm'

export const kafkaPart: Part = async setup => {
  const broker = await setup.broker()
  if ('missing' in broker) return { runs: new Map(), skipped: { kafka: broker.missing } }
  const table = await stagedTransfers(setup.rows)
  const { contestants, skipped } = await peers(table, broker, setup.quick)
  const own = [
    engineToKafka(ENGINE, table, broker, { lanes: DEFAULT_LANES }),
    preencoded(PREENCODED, table, broker),
    engineToNull(NULL_SINK, table, { lanes: DEFAULT_LANES }),
  ]
  const runs = await interleave([...own, ...contestants], setup.rounds, setup.say)

  const rates = (name: string) => series(runs, name, rowsPerSecond)
  const cpu = (name: string) => series(runs, name, cpuPerMillion)
  const over = (name: string) => (runs.has(name) ? spread(quotients(rates(ENGINE), rates(name))) : undefined)
  const [end, parts] = [cpu(ENGINE), sums(cpu(NULL_SINK), cpu(PREENCODED))]
  const ratios = {
    end_to_end_over_preencoded: over(PREENCODED),
    end_to_end_over_handwritten: over(HANDWRITTEN),
    end_to_end_over_spark: over(SPARK),
    end_to_end_over_librdkafka: over(LIBRDKAFKA),
    cpu_over_parts: spread(quotients(end, parts)),
    cpu_over_preencoded: spread(quotients(end, cpu(PREENCODED))),
  }
  return {
    runs,
    skipped,
    ratios: defined(ratios),
    figures: {
      cpu_s_per_million_rows: spread(end),
      preencoded_cpu_s_per_million_rows: spread(cpu(PREENCODED)),
      parquet_to_null_cpu_s_per_million_rows: spread(cpu(NULL_SINK)),
    },
  }
}

interface Peers {
  readonly contestants: readonly Contestant[]
  readonly skipped: NonNullable<PartResult['skipped']>
}

async function peers(table: StagedTable, broker: Broker, quick: boolean): Promise<Peers> {
  const contestants = [
    handwritten(HANDWRITTEN, table, broker, 150_000),
    platformaticSend(PLATFORMATIC, table, broker, 400_000),
  ]
  if (quick) return { contestants, skipped: { [LIBRDKAFKA]: LEFT_OUT, [SPARK]: LEFT_OUT } }
  const python = await pythonWithPeers()
  if (typeof python !== 'string')
    return { contestants, skipped: { [LIBRDKAFKA]: python.missing, [SPARK]: python.missing } }
  contestants.push(librdkafka(LIBRDKAFKA, table, broker, 250_000, python))
  const jars = await sparkJars()
  if ('missing' in jars) return { contestants, skipped: { [SPARK]: jars.missing } }
  contestants.push(spark(SPARK, table, broker, { python, jars }))
  return { contestants, skipped: {} }
}

const LEFT_OUT = 'left out of a quick run'

function sums(left: readonly number[], right: readonly number[]): readonly number[] {
  return left.map((value, round) => value + right[round]!)
}

/** Without the entries of contestants that did not run. */
function defined<T extends object>(entries: T): { [Name in keyof T]?: NonNullable<T[Name]> } {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined)) as {
    [Name in keyof T]?: NonNullable<T[Name]>
  }
}
