/** What is planned once, so that it is the same whenever it is needed. */
import type { Encoding, PlannedChunk, ReadPlan } from '../columnar/read-plan.ts'
import type { SinkSession } from '../sinks/sink.ts'
import type { StagedFile } from '../sources/source.ts'
import type { Checkpoint, Unit } from './unit.ts'
import type { WriteQueueLimits } from './write-queue.ts'

/**
 * Runs of chunks that make up the units of a delivery: consecutive files until they come to `unitBytes`, so that many small
 * files cost as little as a few large ones. Fixed once per job, in its manifest.
 */
export function planUnits(files: readonly StagedFile[], unitBytes: number): readonly (readonly number[])[] {
  const units: number[][] = []
  let bytes = Number.POSITIVE_INFINITY
  files.forEach((file, chunk) => {
    if (bytes + file.bytes > unitBytes) {
      units.push([])
      bytes = 0
    }
    units.at(-1)!.push(chunk)
    bytes += file.bytes
  })
  return units
}

export const MOST_SPAN_ROWS = 8_192
const FEWEST_SPAN_ROWS = 64
/** Of the staged, compressed bytes of a span; as JSON they come to several times as much. */
const SPAN_BYTES = 4 << 20

/**
 * Rows of a span: a power of two that keeps spans of wide rows to a few MiB, since a span is the least that a destination
 * can be given room for.
 */
export function planSpanRows(files: readonly StagedFile[]): number {
  const counted = files.filter(file => file.rows !== undefined && file.rows > 0)
  const widest = counted.reduce((most, file) => Math.max(most, file.bytes / file.rows!), 1)
  const fitting = 2 ** Math.floor(Math.log2(SPAN_BYTES / widest))
  return Math.min(MOST_SPAN_ROWS, Math.max(FEWEST_SPAN_ROWS, fitting))
}

/** How a lane is to read what is left of a unit behind the given checkpoints. */
export function planReading(unit: Unit, session: SinkSession, from: readonly Checkpoint[]): ReadPlan {
  const marks = new Map(from.map(mark => [mark.chunk, mark]))
  return {
    chunks: unit.chunks
      .filter(({ chunk }) => !marks.get(chunk)?.done)
      .map(({ chunk, file }) => plannedChunk(chunk, file, marks.get(chunk)?.row ?? 0)),
    spanRows: unit.spanRows,
    ...(unit.predicate ? { predicate: unit.predicate } : {}),
    ...(unit.tableColumns ? { tableColumns: unit.tableColumns } : {}),
    encoding: encodingOf(session),
    ...(session.asks?.ids ? { ids: unit.uniqueKey ?? { job: unit.jobId } } : {}),
    ...(unit.shape ? { shape: unit.shape } : {}),
    ...(session.asks?.columns ? { columns: session.asks.columns } : {}),
    batchRows: session.limits?.batchRows ?? 10_000,
    batchBytes: session.limits?.batchBytes ?? 1 << 20,
    stableBatches: session.stableBatches ?? false,
    rowGroupBudgetBytes: unit.limits.rowGroupBudgetBytes,
    checksums: unit.limits.checksums,
    ...(session.asks?.sharedMemory ? { sharedMemory: true } : {}),
  }
}

export function plannedChunk(chunk: number, file: StagedFile, fromRow: number): PlannedChunk {
  const { name, bytes, values } = file
  return { chunk, name, format: formatOf(file), bytes, fromRow, ...(values ? { values } : {}) }
}

/** How many batches of a unit may be written at the same time. */
export function planWriting({ order }: Unit, { limits = {}, retries = 'engine' }: SinkSession): WriteQueueLimits {
  const { inFlight = 4, inFlightPerPartition = inFlight } = limits
  // what waits for another attempt must not be overtaken
  const oneByOne = order !== 'none' && retries === 'engine'
  return { inFlight, inFlightPerPartition: oneByOne ? 1 : inFlightPerPartition }
}

export function encodingOf({ encoding = { kind: 'rows' } }: Pick<SinkSession, 'encoding'>): Encoding {
  return encoding
}

export function formatOf({ name, format }: StagedFile): NonNullable<StagedFile['format']> {
  if (format !== undefined) return format
  if (name.endsWith('.arrow')) return 'arrow-file'
  return name.endsWith('.arrows') ? 'arrow-stream' : 'parquet'
}
