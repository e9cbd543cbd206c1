/** The public surface of millrace. Sources, sinks and stores are imported from their own paths. */
export { defineConfig, type MillraceConfig } from './cli/config.ts'
export type { StoredDeadLetter } from './core/dead-letters.ts'
export type { DestinationName } from './core/destination-name.ts'
export type { Sample } from './core/dry-run.ts'
export { createEngine, type Engine, type JobQuery, type Redelivery, type Scope } from './core/engine.ts'
export {
  CancelledError,
  ConfigError,
  DeliveryError,
  type DeliveryFailure,
  ERRORS,
  type ErrorCode,
  FormatError,
  isMillraceError,
  MillraceError,
  type Problem,
  RequestError,
  SourceError,
  StoreError,
} from './core/errors.ts'
export {
  DESTINATION_STATES,
  type DestinationState,
  JOB_STATUSES,
  type Job,
  type JobDestination,
  type JobStatus,
  jobSchema,
} from './core/job.ts'
export type { Json } from './core/json.ts'
export type { DeliveryOptions, EngineOptions, SinkRegistration } from './core/options.ts'
export type { ChunkReceipt, DestinationReceipt, Receipt } from './core/receipt.ts'
export type { RedriveResult } from './core/redrive.ts'
export { type BackfillRequest, backfillRequestSchema } from './core/request.ts'
export type { CloudEventOptions, RowOptions } from './core/row-options.ts'
export { batchReadable, sinkWritable, streamContext, streamUnit } from './core/streams.ts'
export type { DeadLetter, Order, Unit, UnitLimits, UnitReport } from './core/unit.ts'
export type { Verification } from './core/verify.ts'
export type { Place } from './core/verify-findings.ts'
export * from './sinks/sink.ts'
export * from './sources/source.ts'
export type * from './stores/store.ts'
