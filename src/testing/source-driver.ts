/** What the engine does with a source, for its conformance suite: make a request, and read what was staged. */
import { randomUUID } from 'node:crypto'
import type { ReadPlan } from '../columnar/read-plan.ts'
import { openUnitReader } from '../columnar/reader.ts'
import { formatOf } from '../core/plan.ts'
import type { Source, Staged, StageFilter, StageRequest } from '../sources/source.ts'

/** What a test asks for; the rest is filled in. Default: every row that has a time, unsorted, 32 MiB a file. */
export interface StageChoice {
  readonly stagingId?: string
  readonly start?: string
  readonly end?: string
  readonly filter?: { readonly column: string; readonly values: readonly string[] }
  readonly sorted?: boolean
  readonly fileBytes?: number
  readonly limit?: number
}

export async function stageRequest(source: Source, table: string, choice: StageChoice): Promise<StageRequest> {
  const schema = await source.describe(table, new AbortController().signal)
  const typeOf = (name: string) => schema.columns.find(column => column.name === name)!.type
  const { stagingId = randomUUID(), start = '2026-03-01T00:00:00Z', end = '2027-03-01T00:00:00Z', filter } = choice
  const [key] = schema.partitionKeys
  return {
    jobId: randomUUID(),
    stagingId,
    schema,
    window: { column: key!, type: typeOf(key!), start, end },
    ...(filter ? { filter: stageFilter(filter.column, typeOf(filter.column), filter.values) } : {}),
    sorted: choice.sorted ?? false,
    fileBytes: choice.fileBytes ?? 32 << 20,
    ...(choice.limit === undefined ? {} : { limit: choice.limit }),
  }
}

function stageFilter(column: string, type: StageFilter['type'], values: readonly string[]): StageFilter {
  return {
    column,
    type,
    list: { count: values.length, inline: values },
    async *values() {
      for (let start = 0; start < values.length; start += 4_096) yield values.slice(start, start + 4_096)
    },
  }
}

/** The rows of the files, in their order, as their JSON has them. */
export async function readStaged<Row>(source: Source, staged: Staged): Promise<Row[]> {
  const lines = await readStagedLines(source, staged)
  return lines.map(line => JSON.parse(line))
}

/** The JSON of each row, in the order of the files. */
export async function readStagedLines(source: Source, staged: Staged): Promise<string[]> {
  const signal = new AbortController().signal
  const reader = openUnitReader(
    readPlan(staged),
    chunk => source.access(staged.files[chunk]!, signal),
    () => Promise.reject(new Error('the values are inline')),
  )
  const lines: Buffer[] = []
  try {
    for (;;) {
      const span = await reader.next()
      const batches = span ? span.batches : await reader.cut()
      lines.push(...batches.map(({ bytes }) => Buffer.from(bytes)))
      if (!span) break
    }
  } finally {
    await reader.close()
  }
  const text = Buffer.concat(lines).toString()
  return text.split('\n').slice(0, -1)
}

function readPlan({ files, residual, tableColumns }: Staged): ReadPlan {
  return {
    chunks: files.map((file, chunk) => ({
      chunk,
      name: file.name,
      format: formatOf(file),
      bytes: file.bytes,
      fromRow: 0,
      ...(file.values ? { values: file.values } : {}),
    })),
    spanRows: 8_192,
    ...(residual ? { predicate: residual } : {}),
    ...(tableColumns ? { tableColumns } : {}),
    encoding: { kind: 'ndjson' },
    batchRows: 10_000,
    batchBytes: 1 << 20,
    stableBatches: false,
    rowGroupBudgetBytes: 256 << 20,
    checksums: false,
  }
}
