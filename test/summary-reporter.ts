import type { Reporter, TestCase, TestModule, TestRunEndReason } from 'vitest/node'

/** The run's last line, for people and machines alike: `N passed, N failed`, with the skipped ones where there are any. */
export class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[], _reason: TestRunEndReason): void {
    const count = { passed: 0, failed: errors.length, skipped: 0, pending: 0 }
    for (const module of modules) {
      const tests: TestCase[] = [...module.children.allTests()]
      for (const test of tests) count[test.result().state]++
      // a module that could not be loaded has no tests that could fail
      if (module.state() === 'failed' && tests.every(test => test.result().state !== 'failed')) count.failed++
    }
    const skipped = count.skipped + count.pending
    process.stdout.write(`${count.passed} passed, ${count.failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`)
  }
}
