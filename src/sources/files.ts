/** Files that are there already: Parquet and Arrow IPC. Nothing is copied; the window and the filter are for the lanes to apply. */
import { ConfigError } from '../core/errors.ts'
import { type FilesSourceOptions, type FilesTable, readOptions } from './files/options.ts'
import { orderFiles } from './files/order.ts'
import { Storages } from './files/storages.ts'
import { describeFiles, type InspectedFiles, listFiles, selectFiles, type TableFiles } from './files/table.ts'
import { checkedSchema, listed } from './partition-keys.ts'
import type { Source } from './source.ts'

export type { FilesSourceOptions, FilesTable }

/**
 * A table is all files that its patterns match, and has all columns that any of them has: by name, NULL in files that lack one. A column
 * with two types is an error that names both and a file.
 *
 * Staging lists the files and leaves out those that the window or a listed filter excludes: by their folders, and by the bounds in
 * their footers. Of a file that is read, row groups that are excluded by their bounds are not fetched. Files are never written or
 * removed, also not by `discard`. One that was written again, or removed, after it was listed fails the job.
 *
 * Errors: `ConfigError` for options that cannot be, and for a table without files; `SourceError` for files that cannot be listed;
 * `FormatError` for a file that is damaged or does not fit the others.
 */
export function filesSource(options: FilesSourceOptions): Source {
  const settings = readOptions(options)
  const { name, tables, inspectFiles } = settings
  const inspected: InspectedFiles = new Map()
  const storages = new Storages(settings)

  function entry(table: string): TableFiles {
    const own = Object.hasOwn(tables, table) ? tables[table] : undefined
    if (!own) throw new ConfigError(`unknown table ${table}; the catalogue has ${listed(Object.keys(tables))}`)
    return { settings: own, storages, inspectFiles, inspected }
  }

  return {
    name,

    tables: async () => Object.keys(tables),

    async describe(table, signal) {
      const found = entry(table)
      const files = await listFiles(found, signal)
      if (files.length === 0) throw withoutFiles(table)
      const columns = await describeFiles(found, files, signal)
      return checkedSchema({ table, columns, partitionKeys: found.settings.partitionKeys })
    },

    async stage(request, _saved, _save, signal) {
      const { window, filter, schema, sorted } = request
      const found = entry(schema.table)
      const selected = await selectFiles(found, await listFiles(found, signal), request, signal)
      signal.throwIfAborted()
      return {
        files: sorted ? orderFiles(selected, window.column, found.settings.sortedBy) : selected.map(({ file }) => file),
        residual: {
          window,
          ...(filter ? { filter: { column: filter.column, type: filter.type, values: filter.list } } : {}),
        },
        tableColumns: schema.columns,
      }
    },

    async estimate(request, signal) {
      const found = entry(request.schema.table)
      const selected = await selectFiles(found, await listFiles(found, signal), request, signal)
      return {
        // counting would be reading
        rows: null,
        files: selected.length,
        bytes: selected.reduce((sum, { file }) => sum + file.bytes, 0),
        sql: [],
        columns: request.schema.columns.map(({ name, native }) => ({ name, native, staged: name })),
      }
    },

    access: (file, signal) => storages.access(Object.values(tables), file, signal),

    // the files are not this source's to remove
    async discard() {},

    close: () => storages.close(),
  }
}

function withoutFiles(table: string): ConfigError {
  return new ConfigError(`there is no file of table ${table}: see its \`files\``)
}
