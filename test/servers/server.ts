/** What a real server for tests has to offer. One file per server; `table.ts` names them all. */
import type { Json } from '../../src/core/json.ts'

export interface TestServer<Facts extends Json> {
  /** Finds or starts the server and resolves when it answers. Rejects with {@link CannotStart} where the machine lacks what it needs. */
  start(): Promise<Started<Facts>>
}

export interface Started<Facts extends Json> {
  /** What tests need to know of it; crosses to the test workers as JSON. */
  readonly facts: Facts
  stop(): Promise<void>
}

/** Not a failure: the machine lacks something, and the message says what to install. */
export class CannotStart extends Error {}
