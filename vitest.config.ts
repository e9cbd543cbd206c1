import { defineConfig } from 'vitest/config'
import { SummaryReporter } from './test/summary-reporter.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // starts nothing by itself: real servers come up for the first test file that asks for one
    globalSetup: ['test/servers/setup.ts'],
    reporters: ['default', new SummaryReporter()],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // two processors, and worker lanes of their own in many tests
    maxWorkers: 2,
    pool: 'forks',
  },
})
