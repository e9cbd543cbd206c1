// For the command line: millrace run --table flights --start 2001-01-01 --end 2001-02-01 --to file:out
import { defineConfig } from 'millrace'
import { fileSink } from 'millrace/sinks/file'
import { kafkaSink } from 'millrace/sinks/kafka'
import { duckdbSource } from 'millrace/sources/duckdb'

export default defineConfig({
  source: duckdbSource({
    database: 'warehouse.duckdb',
    stagingDir: '.millrace/staging',
    tables: { flights: { partitionKeys: ['date'] } },
  }),
  sinks: [
    fileSink({ name: 'out', dir: 'out' }),
    {
      sink: kafkaSink({ name: 'flights', brokers: ['localhost:9092'], topic: 'flights', key: 'origin' }),
      order: 'key',
    },
  ],
})
