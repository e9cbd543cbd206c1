/** Filter values in a temporary table, for lists that are too long for a statement. */
import type { Connection } from 'snowflake-sdk'
import type { StageFilter } from '../source.ts'
import { valueExpression, valueText } from './literals.ts'
import { quoteNames } from './names.ts'
import { execute } from './statements.ts'

/** Of one INSERT, whose bound text Snowflake lets have 16 MB. */
const PIECE_BYTES = 4 << 20

const DOING = 'cannot load the filter values'

/**
 * Makes the table and answers SQL that selects from it. It lives as long as the session, and repeats do no harm under IN, which is a
 * semi-join. `schema`: where it is made, as names; the session's own without them.
 */
export async function loadValues(
  connection: Connection,
  filter: StageFilter,
  place: Place,
  signal: AbortSignal,
): Promise<string> {
  const table = tableAt(place)
  await execute(connection, DOING, `CREATE OR REPLACE TEMPORARY TABLE ${table} (V VARCHAR)`)
  for await (const piece of pieces(filter)) {
    signal.throwIfAborted()
    const insert = `INSERT INTO ${table} SELECT VALUE::VARCHAR FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?)))`
    await execute(connection, DOING, insert, { binds: [piece] })
  }
  return `SELECT ${valueExpression('V', filter.type)} FROM ${table}`
}

export async function dropTable(connection: Connection, place: Place): Promise<void> {
  await execute(connection, 'cannot drop the filter values', `DROP TABLE IF EXISTS ${tableAt(place)}`)
}

interface Place {
  readonly schema: readonly string[]
  readonly id: string
}

function tableAt({ schema, id }: Place): string {
  return quoteNames([...schema, `MILLRACE_VALUES_${id}`])
}

/** As JSON arrays of texts. */
async function* pieces({ values, type }: StageFilter): AsyncGenerator<string> {
  let texts: string[] = []
  let bytes = 0
  for await (const piece of values()) {
    for (const value of piece) {
      const text = valueText(value, type)?.toWellFormed()
      if (text === undefined) continue
      const json = JSON.stringify(text)
      const size = Buffer.byteLength(json) + 1
      if (bytes + size > PIECE_BYTES && texts.length > 0) {
        yield `[${texts.join(',')}]`
        texts = []
        bytes = 0
      }
      texts.push(json)
      bytes += size
    }
  }
  if (texts.length > 0) yield `[${texts.join(',')}]`
}
