/**
 * The conformance suite of sinks. It knows no test runner:
 *
 *     for (const { name, run } of testSink({ create, read, faults })) test(name, run)
 */
import type { Sink } from '../sinks/sink.ts'
import { wellCases } from './sink-cases.ts'
import { faultCases } from './sink-fault-cases.ts'
import type { SinkTestOptions } from './sink-options.ts'
import { SinkTesting } from './sink-testing.ts'

export interface SinkTest {
  readonly name: string
  readonly run: () => Promise<void>
}

/**
 * Tests of everything that `Sink` promises: while the destination is well and, as far as the `faults` can make it so, while it
 * hangs, is away, or does not take what it is sent. What applies only to sessions with a `commit` passes for others. No test takes
 * long but the large one.
 */
export function testSink<S extends Sink>(options: SinkTestOptions<S>): readonly SinkTest[] {
  const { create, dispose, manyRows = 100_000 } = options
  const testing = new SinkTesting(options)
  return [...wellCases(testing, manyRows), ...faultCases(testing)].map(([name, body]) => ({
    name,
    async run() {
      const sink = await create()
      try {
        await body(sink)
      } finally {
        await dispose?.(sink)
      }
    },
  }))
}

export type { Recover, SinkFaults, SinkTestOptions } from './sink-options.ts'
