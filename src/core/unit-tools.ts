import type { ReadPlan, UnitReader } from '../columnar/read-plan.ts'
import type { FramedRows, OpenedRow } from '../columnar/reframe.ts'
import type { SinkSession } from '../sinks/sink.ts'
import type { Credit } from './budget.ts'
import type { Circuit } from './circuit.ts'
import type { Gate } from './pace.ts'
import type { ReportAnswer, UnitReport } from './unit.ts'

/** What a unit is delivered with. */
export interface UnitTools {
  /** Of the unit's job and destination; shared by all units of it in this process. */
  readonly session: SinkSession
  /** Starts reading; the plan's files are opened by whoever provides this. */
  read(plan: ReadPlan): UnitReader
  /** Rows of a batch as they were before they were framed, for dead letters. */
  openRows(framed: FramedRows, positions: readonly number[]): Promise<readonly OpenedRow[]>
  /** The unit's share of the memory for batches. `wake`: there may be room for what did not fit. */
  credit(wake: () => void): Credit
  /** The unit's place before what limits the pace of the destination. `wake`: it may be its turn. */
  gate(wake: () => void): Gate
  /** Of the destination, shared by all its units; not for a sink that retries on its own. */
  readonly circuit?: Circuit
  /** Resolves when the report is durable. Called one at a time, at least every `checkpointMs`, also when nothing moved. */
  report(report: UnitReport): Promise<ReportAnswer>
}
