/** A source over files that were staged beforehand, so that what is measured begins with reading them. */
import { join } from 'node:path'
import { SourceError } from '../src/core/errors.ts'
import type { Source } from '../src/sources/source.ts'
import type { StagedTable } from './data.ts'

/** `tables`: by the name that requests use. A filter is left to the lanes. `urls`: what stands before a name
 * where the files are behind URLs. Discarding keeps the files: they are the bench's. */
export function stagedSource(tables: Readonly<Record<string, StagedTable>>, urls?: string): Source {
  const find = (name: string): StagedTable => {
    const table = tables[name]
    if (!table) throw new SourceError(`there is no staged table ${name}`, { retryable: false })
    return table
  }
  const directory = Object.values(tables)[0]!.directory
  return {
    name: 'staged',
    tables: async () => Object.keys(tables),
    describe: async name => ({ ...find(name).schema, table: name }),
    stage: async ({ schema, filter }) => ({
      files: find(schema.table).files,
      ...(filter ? { residual: { filter: { column: filter.column, type: filter.type, values: filter.list } } } : {}),
    }),
    access: async ({ name }) =>
      urls === undefined ? { path: join(directory, name) } : { url: new URL(name, urls).href },
    discard: async () => {},
  }
}

/** The table `times` over, for passes that would otherwise be too short to measure. */
export function repeated(table: StagedTable, times: number): StagedTable {
  // names of files have to differ, and a path may go round
  const files = Array.from({ length: times }, (_, pass) =>
    table.files.map(file => ({ ...file, name: `${'./'.repeat(pass)}${file.name}` })),
  ).flat()
  return { ...table, files, rows: table.rows * times }
}
