/** A source for tests of the engine: a table in memory that is staged as Arrow files, with places to interfere. */
import { access, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tableFromArrays, tableToIPC } from 'apache-arrow'
import { FormatError } from '../../src/core/errors.ts'
import type { Predicate, Source, StagedFile, StageRequest, TableSchema } from '../../src/sources/source.ts'

export interface ArrowSourceOptions {
  readonly dir: string
  /** Rows of each staged file. */
  readonly files: readonly number[]
  /** Default: `wordOf`. */
  readonly word?: (id: number) => string
  /** What staging leaves to the engine. */
  readonly residual?: (request: StageRequest) => Predicate
  /** Called before files are written. */
  readonly onStage?: (request: StageRequest, signal: AbortSignal) => Promise<void>
  /** Called when the files are there. */
  readonly onStaged?: (dir: string) => Promise<void>
}

export interface ArrowSource extends Source {
  /** What is left in the staging directory. */
  left(): Promise<readonly string[]>
  /** How often `access` was asked for. */
  readonly opened: number
}

export const numbers: TableSchema = {
  table: 'numbers',
  columns: [
    { name: 'id', type: { kind: 'integer', bits: 64, signed: true }, native: 'BIGINT', nullable: false },
    { name: 'word', type: { kind: 'string' }, native: 'VARCHAR', nullable: false },
  ],
  partitionKeys: ['id'],
}

/** Table `numbers`: ids from 0 on, each with the word of its last digit. */
export function arrowSource(options: ArrowSourceOptions): ArrowSource {
  const folder = (stagingId: string): string => join(options.dir, stagingId)
  let current = ''
  let opened = 0
  return {
    name: 'arrow',
    tables: async () => ['numbers'],
    describe: async () => numbers,
    async stage(request, _saved, _save, signal) {
      await options.onStage?.(request, signal)
      signal.throwIfAborted()
      current = folder(request.stagingId)
      await mkdir(current, { recursive: true })
      const files: StagedFile[] = []
      let id = 0
      for (const [index, rows] of options.files.entries()) {
        const ids = BigInt64Array.from({ length: rows }, () => BigInt(id++))
        const table = tableFromArrays({
          id: ids,
          word: Array.from(ids, each => (options.word ?? wordOf)(Number(each))),
        })
        const bytes = tableToIPC(table, 'file')
        const name = `${String(index).padStart(4, '0')}.arrow`
        await writeFile(join(current, name), bytes)
        files.push({ name, bytes: bytes.length, rows })
      }
      await options.onStaged?.(current)
      return { files, ...(options.residual ? { residual: options.residual(request) } : {}) }
    },
    async access(file) {
      opened++
      const path = join(current, file.name)
      await access(path).catch(cause => {
        throw new FormatError('file_missing', `${file.name} is gone`, { cause })
      })
      return { path }
    },
    discard: stagingId => rm(folder(stagingId), { recursive: true, force: true }),
    left: async () => ((await stat(options.dir).catch(() => undefined)) ? readdir(options.dir) : []),
    get opened() {
      return opened
    },
  }
}

export function wordOf(id: number): string {
  return ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'][id % 10]!
}
