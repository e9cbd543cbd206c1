import { payloadAt } from '../columnar/framing.ts'
import type { FilledBatch, ReadPlan } from '../columnar/read-plan.ts'
import { SourceError } from './errors.ts'
import { spanStarts } from './narrowing.ts'
import { plannedChunk } from './plan.ts'
import type { Unit } from './unit.ts'
import type { UnitTools } from './unit-tools.ts'

/** A span is not cut for being large. */
const BATCH_BYTES = 64 << 20

/**
 * Rows of a batch in the table's own form, whatever shape they were sent in: their spans are read once more. For dead letters, which are
 * to be sent again when a shape or a transform is another. `positions`: ascending.
 */
export async function stagedRows(
  unit: Unit,
  read: UnitTools['read'],
  { pieces, rowNumbers }: FilledBatch,
  positions: readonly number[],
): Promise<readonly string[]> {
  const starts = spanStarts(pieces)
  const rows: string[] = []
  for (const [index, { chunk, row: span }] of pieces.entries()) {
    const own = positions.filter(position => position >= starts[index]! && position < starts[index + 1]!)
    if (own.length === 0) continue
    const found = await readSpan(planOf(unit, chunk, span), read)
    for (const position of own) {
      const row = found.get(rowNumbers[position]!)
      if (row === undefined) throw new SourceError(`chunk ${chunk} has no row ${rowNumbers[position]} any more`)
      rows.push(row)
    }
  }
  return rows
}

function planOf(unit: Unit, chunk: number, span: number): ReadPlan {
  const { file } = unit.chunks.find(each => each.chunk === chunk)!
  return {
    chunks: [plannedChunk(chunk, file, span)],
    spanRows: unit.spanRows,
    ...(unit.tableColumns ? { tableColumns: unit.tableColumns } : {}),
    encoding: { kind: 'rows' },
    batchRows: unit.spanRows,
    batchBytes: BATCH_BYTES,
    stableBatches: false,
    rowGroupBudgetBytes: unit.limits.rowGroupBudgetBytes,
    checksums: false,
  }
}

/** The JSON of the rows of the first span, by their numbers. */
async function readSpan(plan: ReadPlan, read: UnitTools['read']): Promise<ReadonlyMap<number, string>> {
  const reader = read(plan)
  try {
    const first = await reader.next()
    const batches = [...(first?.batches ?? []), ...(await reader.cut())]
    return new Map(
      batches.flatMap(batch => Array.from(batch.rowNumbers, (row, at) => [row, textOf(batch, at)] as const)),
    )
  } finally {
    await reader.close()
  }
}

function textOf(batch: FilledBatch, position: number): string {
  return Buffer.from(payloadAt(batch, position, { kind: 'rows' })).toString()
}
