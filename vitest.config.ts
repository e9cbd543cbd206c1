import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // starts nothing by itself: real servers come up for the first test file that asks for one
    globalSetup: ['test/servers/setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // two processors, and worker lanes of their own in many tests
    maxWorkers: 2,
    pool: 'forks',
  },
})
