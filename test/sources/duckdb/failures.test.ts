import { describe, expect, it } from 'vitest'
import { ConfigError, type SourceError } from '../../../src/core/errors.ts'
import { databaseError } from '../../../src/sources/duckdb/failures.ts'

const failure = (message: string) => databaseError('cannot stage t', new Error(message)) as SourceError

describe("DuckDB's errors", () => {
  it('are told by their first line where that speaks of files, memory or names', () => {
    const error = failure('IO Error: No space left on device\n\nLINE 1: COPY (SELECT secret)')
    expect(error.message).toBe('cannot stage t: DuckDB reports: IO Error: No space left on device')
    expect(error.code).toBe('source_failed')
    expect(error.retryable).toBe(true)
    expect(error.cause).toBeUndefined()
  })

  it('are shortened', () => {
    expect(failure(`Binder Error: ${'x'.repeat(1_000)}`).message.length).toBeLessThan(400)
  })

  it('say what to do about memory', () => {
    expect(failure('Out of Memory Error: failed to pin block').message).toMatch(/; raise memoryLimit, or lower/)
  })

  it.each([
    "Conversion Error: Could not convert string 'secret' to INT32",
    "Invalid Input Error: Failed to cast value: 'secret'",
    'Constraint Error: Duplicate key "secret"',
    "Parser Error: syntax error at or near 'secret'",
    'secret',
  ])('do not quote values: %s', message => {
    const error = failure(message)
    expect(error.message).not.toContain('secret')
    expect(error.message).toContain('its message is withheld')
    expect(error.retryable).toBe(false)
    expect(error.cause).toBeUndefined()
  })

  it('are left alone where millrace knows better', () => {
    const known = new ConfigError('there is no database file')
    expect(databaseError('cannot open it', known)).toBe(known)
  })
})
