/** A file as the first version of the schema wrote it. Never change this: it stands for files that exist. */
import { DatabaseSync } from 'node:sqlite'

export const VERSION_1_VALUES = {
  ref: 'sha256:6f1e5a1b8c7f4f0e9d3c2b1a0f9e8d7c6b5a49382716f5e4d3c2b1a09f8e7d6c',
  members: ['a', 'b\n'],
}

const KAFKA = { type: 'kafka', name: 'rows', uid: 'a3b1c7d2-90e4-5f16-8a27-1b2c3d4e5f60' }
const HOOK = { type: 'webhook', name: 'hook', uid: '0c9d8e7f-6a5b-5c4d-9e3f-2a1b0c9d8e7f' }

/** What a store says of the job in the file. */
export const VERSION_1_JOB = {
  record: {
    jobId: '8c1f0f7e-0000-4000-8000-000000000001',
    organizationId: 'acme',
    request: {
      table: 'base.transfers',
      backfill_window: { start: '2026-03-01', end: '2026-04-01' },
      destinations: [KAFKA, HOOK].map(({ type, name }) => ({ type, name })),
    },
    partitionKey: 'block_timestamp',
    destinations: [KAFKA, HOOK],
    timeCreated: '2026-11-01T12:00:00.000Z',
    status: 'transporting',
    epoch: 3,
    beat: 17,
    wishes: { cancel: true },
    staging: { stagingId: 's-1', saved: { query: 'q' } },
    numChunks: 2,
    chunksLeft: 1,
    error: undefined,
    timeCompleted: undefined,
    destinationRecords: [
      {
        ...KAFKA,
        state: 'delivering',
        error: undefined,
        saved: { partitions: 12 },
        ...{ delivered: 15, filtered: 4, deadLettered: 1, bytes: 1_500, chunksDone: 1 },
      },
      {
        ...HOOK,
        state: 'failed',
        error: { code: 'delivery_failed', message: 'gone' },
        saved: undefined,
        ...{ delivered: 0, filtered: 0, deadLettered: 0, bytes: 0, chunksDone: 0 },
      },
    ],
  },
  manifest: {
    files: [
      { name: '0.parquet', bytes: 10 },
      { name: '1.parquet', bytes: 20 },
    ],
    spanRows: 8_192,
    schema: { table: 'table', columns: [], partitionKeys: ['key'] },
    units: [[0, 1]],
  },
  checkpoints: {
    [KAFKA.uid]: [
      {
        chunk: 0,
        row: 10,
        done: true,
        delivered: 8,
        filtered: 1,
        deadLettered: 1,
        bytes: 800,
        checksum: '00000000000000ff',
      },
      {
        chunk: 1,
        row: 10,
        done: false,
        delivered: 7,
        filtered: 3,
        deadLettered: 0,
        bytes: 700,
        checksum: '0000000000000001',
      },
    ],
    [HOOK.uid]: [],
  },
  deadLetters: [[{ chunk: 0, row: 4, payload: '{"a":1}', key: null, cause: 'too large' }], []],
  proof: [
    [
      { partition: 2, first: '0', last: '6' },
      { first: '7', last: '9' },
    ],
    [],
  ],
} as const

export function createVersion1(path: string): void {
  const sqlite = new DatabaseSync(path)
  sqlite.exec(SCHEMA)
  sqlite.exec('PRAGMA application_id = 0x6d696c6c; PRAGMA user_version = 1; PRAGMA journal_mode = WAL')
  const { record, manifest } = VERSION_1_JOB
  sqlite
    .prepare(
      `INSERT INTO jobs VALUES ($jobId, 'acme', 'base.transfers', 'block_timestamp', $timeCreated, 'transporting', 3, 17,
         '{"cancel":true}', '{"stagingId":"s-1","saved":{"query":"q"}}', 2, 1, NULL, NULL)`,
    )
    .run({ jobId: record.jobId, timeCreated: record.timeCreated })
  sqlite.prepare('INSERT INTO requests VALUES (?, ?)').run(record.jobId, JSON.stringify(record.request))
  sqlite.prepare('INSERT INTO manifests VALUES (?, ?)').run(record.jobId, JSON.stringify(manifest))
  sqlite
    .prepare(
      `INSERT INTO destinations VALUES
         (1, $jobId, $kafka, 'kafka', 'rows', 'delivering', NULL, '{"partitions":12}', 0, 15, 4, 1, 1500, 1, 1),
         (2, $jobId, $hook, 'webhook', 'hook', 'failed', '{"code":"delivery_failed","message":"gone"}', NULL, 0, 0, 0, 0, 0, 0, 0)`,
    )
    .run({ jobId: record.jobId, kafka: KAFKA.uid, hook: HOOK.uid })
  sqlite.exec(`
    INSERT INTO checkpoints VALUES (1, 0, 0, 10, 1, 8, 1, 1, 800, '00000000000000ff'), (1, 0, 1, 10, 0, 7, 3, 0, 700, '0000000000000001');
    INSERT INTO dead_letters VALUES (1, 0, 0, 4, '{"a":1}', NULL, 'too large');
    INSERT INTO proofs VALUES (1, 1, 0, 2, '0', '6'), (2, 1, 0, -1, '7', '9')
  `)
  sqlite.prepare('INSERT INTO units VALUES (?, ?, 2)').run(record.jobId, `${record.jobId}/${KAFKA.uid}/0/0`)
  sqlite.prepare('INSERT INTO value_sets VALUES (?, 2, 1)').run(VERSION_1_VALUES.ref)
  sqlite
    .prepare('INSERT INTO value_pieces VALUES (?, 0, ?)')
    .run(VERSION_1_VALUES.ref, JSON.stringify(VERSION_1_VALUES.members))
  sqlite.close()
}

const SCHEMA = `
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
`
