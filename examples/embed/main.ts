// After `npm run demo`, which makes the warehouse: npx node examples/embed/main.ts
// curl localhost:3000/backfills -H 'content-type: application/json' -d '{"table": "flights",
//   "backfill_window": {"start": "2001-01-01", "end": "2001-02-01"}, "destinations": [{"type": "file", "name": "out"}]}'
import { fileSink } from 'millrace/sinks/file'
import { duckdbSource } from 'millrace/sources/duckdb'
import { createService } from './service.ts'

const app = createService({
  source: duckdbSource({
    database: process.argv[2] ?? '.millrace/demo/warehouse-300000.duckdb',
    stagingDir: '.millrace/staging',
    tables: { flights: { partitionKeys: ['date'] } },
  }),
  sinks: [fileSink({ name: 'out', dir: 'out' })],
  storePath: '.millrace/service.sqlite',
})

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => app.close())
console.log(`listening at ${await app.listen({ port: 3000 })}`)
