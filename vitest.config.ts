import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // two processors, and worker lanes of their own in many tests
    maxWorkers: 2,
    pool: 'forks',
  },
})
