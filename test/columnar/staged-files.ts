/** Staged files for tests, written by DuckDB and apache-arrow. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import {
  Int32,
  type RecordBatch,
  RecordBatchFileWriter,
  RecordBatchStreamWriter,
  Table,
  Utf8,
  vectorFromArray,
} from 'apache-arrow'
import type { CompressionType } from 'apache-arrow/fb/compression-type'

const database = DuckDBInstance.create(':memory:').then(instance => instance.connect())

/** The result of a query as a Parquet file. `options`: of DuckDB's COPY. DuckDB has row groups of multiples of 2,048 rows. */
export async function parquetFile(query: string, options = ''): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), 'staged-'))
  try {
    const path = join(folder, 'file.parquet')
    await (await database).run(`COPY (${query}) TO '${path}' (FORMAT parquet${options && `, ${options}`})`)
    return readFileSync(path)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

interface ArrowOptions {
  readonly writeLegacyIpcFormat?: boolean
  readonly compressionType?: CompressionType
}

export function arrowFile(
  format: 'arrow-file' | 'arrow-stream',
  batches: readonly RecordBatch[],
  options: ArrowOptions = {},
): Uint8Array {
  const writer = format === 'arrow-file' ? new RecordBatchFileWriter(options) : new RecordBatchStreamWriter(options)
  for (const batch of batches) writer.write(batch)
  writer.finish()
  return writer.toUint8Array(true)
}

/** Of `rows` rows that count from `first`: `{"i":5,"s":"row 5"}`. */
export function numberedBatch(first: number, rows: number): RecordBatch {
  const numbers = Array.from({ length: rows }, (_, index) => first + index)
  const i = vectorFromArray(numbers, new Int32())
  const s = vectorFromArray(
    numbers.map(number => `row ${number}`),
    new Utf8(),
  )
  return new Table({ i, s }).batches[0]!
}
