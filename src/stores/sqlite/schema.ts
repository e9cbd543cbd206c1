/** Written into the file's header, so that no other program's database is taken for ours. "mill" as ASCII. */
export const APPLICATION_ID = 0x6d696c6c

/**
 * What brings a file from each version of the schema to the next; `PRAGMA user_version` is how many were applied. Never
 * edit one that was released: add another. A plain list rather than a migration library: those for Node either expect
 * another driver or are bigger than the loop in `database.ts`.
 */
export const MIGRATIONS: readonly string[] = [
  `
  -- What changes often is small: a request or a manifest can have megabytes, and rows are rewritten whole.
  CREATE TABLE jobs (
    job_id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL,
    table_name TEXT NOT NULL,
    partition_key TEXT NOT NULL,
    time_created TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'staging',
    epoch INTEGER NOT NULL DEFAULT 0,
    beat INTEGER NOT NULL DEFAULT 0,
    wishes TEXT NOT NULL DEFAULT '{}',
    staging TEXT,
    num_chunks INTEGER,
    chunks_left INTEGER,
    error TEXT,
    time_completed TEXT
  ) STRICT, WITHOUT ROWID;

  -- One for each combination that a list can be filtered by: any two of them merged would have to be sorted.
  CREATE INDEX jobs_by_time ON jobs (time_created DESC, job_id DESC);
  CREATE INDEX jobs_by_status ON jobs (status, time_created DESC, job_id DESC);
  CREATE INDEX jobs_by_table ON jobs (table_name, time_created DESC, job_id DESC);
  CREATE INDEX jobs_by_status_table ON jobs (status, table_name, time_created DESC, job_id DESC);
  CREATE INDEX jobs_by_organization ON jobs (organization_id, time_created DESC, job_id DESC);
  CREATE INDEX jobs_by_organization_status ON jobs (organization_id, status, time_created DESC, job_id DESC);
  CREATE INDEX jobs_by_organization_table ON jobs (organization_id, table_name, time_created DESC, job_id DESC);
  CREATE INDEX jobs_by_organization_status_table ON jobs (organization_id, status, table_name, time_created DESC, job_id DESC);

  CREATE TABLE requests (
    job_id TEXT PRIMARY KEY REFERENCES jobs,
    request TEXT NOT NULL
  ) STRICT;

  CREATE TABLE manifests (
    job_id TEXT PRIMARY KEY REFERENCES jobs,
    manifest TEXT NOT NULL
  ) STRICT;

  -- The sums are those of the checkpoints of the latest delivery, stored_dead_letters counts the letters of it.
  CREATE TABLE destinations (
    id INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL REFERENCES jobs,
    uid TEXT NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending',
    error TEXT,
    saved TEXT,
    delivery INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    filtered INTEGER NOT NULL DEFAULT 0,
    dead_lettered INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    chunks_done INTEGER NOT NULL DEFAULT 0,
    stored_dead_letters INTEGER NOT NULL DEFAULT 0,
    UNIQUE (job_id, uid)
  ) STRICT;

  CREATE TABLE units (
    job_id TEXT NOT NULL REFERENCES jobs,
    unit TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (job_id, unit)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE checkpoints (
    destination INTEGER NOT NULL REFERENCES destinations,
    delivery INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    row INTEGER NOT NULL,
    done INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    filtered INTEGER NOT NULL,
    dead_lettered INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    PRIMARY KEY (destination, delivery, chunk)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE dead_letters (
    destination INTEGER NOT NULL REFERENCES destinations,
    delivery INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    row INTEGER NOT NULL,
    payload TEXT NOT NULL,
    key TEXT,
    cause TEXT NOT NULL,
    PRIMARY KEY (destination, delivery, chunk, row)
  ) STRICT;

  -- partition -1: none. Unique, so that a repeated report adds nothing.
  CREATE TABLE proofs (
    id INTEGER PRIMARY KEY,
    destination INTEGER NOT NULL REFERENCES destinations,
    delivery INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    first TEXT NOT NULL,
    last TEXT NOT NULL,
    UNIQUE (destination, delivery, partition, first, last)
  ) STRICT;

  CREATE TABLE value_sets (
    ref TEXT PRIMARY KEY,
    count INTEGER NOT NULL,
    pieces INTEGER NOT NULL
  ) STRICT;

  -- Found by content: the pieces of an upload that was cut off are those that the next one of the same set would write.
  CREATE TABLE value_pieces (
    ref TEXT NOT NULL,
    piece INTEGER NOT NULL,
    members TEXT NOT NULL,
    PRIMARY KEY (ref, piece)
  ) STRICT;
  `,
  `
  -- 'kept', 'discarding' or 'gone', of a final job with staged files; NULL: of a job that has none, or goes on.
  ALTER TABLE jobs ADD COLUMN staged TEXT;
  ALTER TABLE jobs ADD COLUMN staged_until TEXT;
  -- Versions before removed the files as a job ended.
  UPDATE jobs SET staged = 'gone' WHERE staging IS NOT NULL AND status NOT IN ('staging', 'transporting');
  CREATE INDEX jobs_with_files ON jobs (staged, staged_until) WHERE staged IN ('kept', 'discarding');

  ALTER TABLE dead_letters ADD COLUMN time TEXT NOT NULL DEFAULT '';
  `,
]
