/** How long the host's event loop keeps others waiting while a backfill runs flat out. */

import { DEFAULT_LANES, engineToKafka, engineToNull } from '../contestants.ts'
import { stagedTransfers } from '../data.ts'
import { type Contestant, interleave, series, spread } from '../harness.ts'
import { repeated } from '../staged-source.ts'
import type { Part } from './part.ts'

const NULL_SINK = 'event loop, Parquet to null sink'
const TOPIC = 'event loop, Parquet to topic'

export const loopPart: Part = async ({ rows, rounds, quick, broker, say }) => {
  const table = await stagedTransfers(rows)
  const found = await broker()
  const options = { lanes: DEFAULT_LANES, loop: true }
  const contestants: Contestant[] = [engineToNull(NULL_SINK, repeated(table, quick ? 1 : 2), options)]
  if (!('missing' in found)) contestants.push(engineToKafka(TOPIC, table, found, options))
  const runs = await interleave(contestants, rounds, say)
  const delays = contestants.map(({ name }) => series(runs, name, run => run['loopP99Ms']!))
  const [toNull, toTopic] = delays
  return {
    runs,
    figures: {
      // of each round the worse
      loop_p99_ms: spread(toNull!.map((delay, round) => Math.max(delay, toTopic?.[round] ?? 0))),
      loop_p99_ms_null_sink: spread(toNull!),
      ...(toTopic ? { loop_p99_ms_topic: spread(toTopic) } : {}),
    },
    ...('missing' in found ? { skipped: { [TOPIC]: found.missing } } : {}),
  }
}
