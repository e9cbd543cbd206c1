import type { Sink } from '../sinks/sink.ts'

export interface SinkTestOptions<S extends Sink> {
  /** A sink with an empty destination of its own; called once per test. Its rows have the columns `id`, `key` and `text`. */
  readonly create: () => S | Promise<S>
  /**
   * The JSON text of every row at the sink's destination, in any order unless the sink is `ordered`. `expected`: how many there should
   * be, for a destination that has to be polled. Without it only the calls are tested, not what arrives.
   */
  readonly read?: (sink: S, expected: number) => Promise<readonly string[]>
  /** Called at the end of every test. */
  readonly dispose?: (sink: S) => Promise<void>
  /** Rows of the large test. Default 100,000. */
  readonly manyRows?: number
  /**
   * The sink keeps the rows of one `key` in staged order where its destination is registered with `order: 'key'`, retries included.
   * `read` then answers at least those of one key in the order of arrival. Default false.
   */
  readonly ordered?: boolean
  /** How to make the destination misbehave. Default: it is always well. */
  readonly faults?: SinkFaults<S>
  /** How long what is to end soon may take, on a machine that is busy. Default 30 s. */
  readonly patienceMs?: number
}

/** Ends a fault: the destination is well again. */
export type Recover = () => void | Promise<void>

/**
 * How to make the destination of a sink misbehave. Each is called in a test of its own, after `create`; the tests that need one
 * are there only where it is given. Leave out what the destination cannot do.
 */
export interface SinkFaults<S extends Sink> {
  /**
   * From now on the destination hangs: connections stay, and nothing is answered. Once it recovers, it goes on with what it was sent.
   * A proxy that holds all bytes back does.
   */
  readonly stall?: (sink: S) => Recover | Promise<Recover>
  /** The destination is gone: connections break, and none can be made until it recovers. What it has acknowledged is kept. */
  readonly interrupt?: (sink: S) => Recover | Promise<Recover>
  /**
   * The destination takes some of what it is sent now not, and says so, as when it is too busy: once, or until it recovers. Of a
   * destination that can tell apart the rows of one request, let it be those that have `mark` in their text.
   */
  readonly turnAway?: (sink: S, mark: string) => Recover | undefined | Promise<Recover | undefined>
  /** The destination takes no row that has `mark` in its text, nor ever will, and takes all others. These rows have a NULL key as well. */
  readonly refuse?: (sink: S, mark: string) => void | Promise<void>
  /** Answers a length for the text of a row, in ASCII characters, with which the row is more than the destination takes. */
  readonly oversize?: (sink: S) => number | Promise<number>
  /** The destination is not there, or may not be written to, which the user has to mend: a topic is missing, a permission. */
  readonly forbid?: (sink: S) => void | Promise<void>
}
