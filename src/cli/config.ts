import type { EngineOptions } from '../core/options.ts'

/** The engine's options: `source` and `sinks` are required, all else has a default. */
export type MillraceConfig = EngineOptions

/**
 * Types the configuration of the command line. `millrace.config.ts`, `.js` or `.mjs` in the working directory, or the
 * file that `--config` names, has it as its default export. Its top level may `await`.
 *
 *     export default defineConfig({
 *       source: duckdbSource({ database: 'warehouse.duckdb', tables: { ... } }),
 *       sinks: [fileSink({ name: 'backfill', dir: 'out' })],
 *     })
 */
export function defineConfig(config: MillraceConfig): MillraceConfig {
  return config
}
