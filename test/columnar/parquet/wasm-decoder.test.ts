import { expect, test } from 'vitest'
import { parquetFile } from '../staged-files.ts'
import { wasmRows } from './decoders.ts'

test('reading goes on within integers that are stored as differences', async () => {
  const bytes = await parquetFile(
    'SELECT i, [i] AS l FROM range(2500) r(i)',
    'PARQUET_VERSION V2, DICTIONARY_SIZE_LIMIT 1',
  )
  const rows = await wasmRows(bytes)
  expect(rows[1999]).toBe('{"i":1999,"l":[1999]}')
  expect(await wasmRows(bytes, { offset: 2000 })).toEqual(rows.slice(2000))
})
