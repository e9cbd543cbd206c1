/** Suites that prove a sink, a source or a store keeps its contract; for any test runner. */
export * from './sink.ts'
export * from './source.ts'
export * from './store.ts'
