/** Value sets. One upload per connection: it collects, sorts and cuts in tables of its own, outside everybody's way. */
import type { ValueSet } from '../store.ts'
import { ValueSetPieces } from '../value-set.ts'
import type { Database } from './database.ts'

/** About 4 MB a transaction, so that an upload of any size holds the write lock for milliseconds only. */
const PIECES_A_TRANSACTION = 16

export function valueSetCalls(db: Database) {
  return {
    addValues(values: readonly string[]): void {
      db.read(() => {
        createUpload(db)
        for (const value of values) db.run('INSERT INTO temp.uploaded (value) VALUES ($value)', { value })
      })
    },

    storeValues(): ValueSet {
      const { pieces, ...set } = db.read(() => cutUpload(db))
      if (db.get('SELECT 1 FROM value_sets WHERE ref = $ref', { ref: set.ref })) return set
      for (let first = 0; first < pieces; first += PIECES_A_TRANSACTION) {
        db.write(() =>
          db.run(
            `INSERT INTO value_pieces (ref, piece, members) SELECT $ref, piece, members FROM temp.cut
             WHERE piece >= $first AND piece < $end ON CONFLICT DO NOTHING`,
            { ref: set.ref, first, end: first + PIECES_A_TRANSACTION },
          ),
        )
      }
      // last: a set exists from here on
      db.write(() =>
        db.run('INSERT INTO value_sets (ref, count, pieces) VALUES ($ref, $count, $pieces) ON CONFLICT DO NOTHING', {
          ...set,
          pieces,
        }),
      )
      return set
    },

    valueSet(ref: string): (ValueSet & { pieces: number }) | undefined {
      return db.get('SELECT ref, count, pieces FROM value_sets WHERE ref = $ref', { ref })
    },

    /** A JSON array. */
    valuePiece(ref: string, piece: number): string {
      const sql = 'SELECT members FROM value_pieces WHERE ref = $ref AND piece = $piece'
      return db.get<{ members: string }>(sql, { ref, piece })!.members
    },
  }
}

function createUpload(db: Database): void {
  db.run('CREATE TEMP TABLE IF NOT EXISTS uploaded (value TEXT NOT NULL) STRICT')
  db.run('CREATE TEMP TABLE IF NOT EXISTS cut (piece INTEGER PRIMARY KEY, members TEXT NOT NULL) STRICT')
}

/** SQLite sorts in runs on disk, by UTF-8 bytes, which is the order that the name asks for. */
function cutUpload(db: Database): ValueSet & { pieces: number } {
  createUpload(db)
  const rows = db.iterate<{ value: string }>('SELECT DISTINCT value FROM temp.uploaded ORDER BY value')
  const cutter = new ValueSetPieces()
  let pieces = 0
  for (const members of cutter.cut(valuesOf(rows))) {
    db.run('INSERT INTO temp.cut (piece, members) VALUES ($piece, $members)', {
      piece: pieces++,
      members: JSON.stringify(members),
    })
  }
  return { ...cutter.name(), pieces }
}

function* valuesOf(rows: Iterable<{ value: string }>): Generator<string> {
  for (const { value } of rows) yield value
}
