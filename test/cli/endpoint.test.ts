import { describe, expect, it } from 'vitest'
import { parseSource, parseTarget, redact } from '../../src/cli/endpoint.ts'

describe('parseSource', () => {
  it('reads duckdb:PATH', () => {
    expect(parseSource('duckdb:data/flights.db')).toEqual({ type: 'duckdb', path: 'data/flights.db' })
  })

  it('reads files:GLOB and the URL of a file', () => {
    const url = 'https://host/a.parquet?key=b'
    expect(parseSource(url)).toEqual({ type: 'files', files: url })
    expect(parseSource('files:data/**/*.parquet')).toEqual({ type: 'files', files: 'data/**/*.parquet' })
  })

  it.each(['duckdb:', 'duckdb', 'postgres:x', '', 'files:'])('refuses %j', text => {
    expect(parseSource(text)).toEqual({
      problem: 'must be duckdb:PATH, files:GLOB, https://HOST/FILE, s3://BUCKET/GLOB or gs://BUCKET/GLOB',
    })
  })
})

describe('parseTarget', () => {
  it('reads file:DIR, stdout: and null:', () => {
    expect(parseTarget('file:out/a b')).toEqual({ type: 'file', name: 'out/a b', dir: 'out/a b' })
    expect(parseTarget('null:')).toEqual({ type: 'null', name: 'null' })
    expect(parseTarget('stdout:')).toEqual({ type: 'stdout', name: 'stdout' })
  })

  it('reads a Kafka URL with one broker and nothing else', () => {
    expect(parseTarget('kafka://localhost:19092/flights')).toEqual({
      type: 'kafka',
      name: 'flights',
      brokers: ['localhost:19092'],
      topic: 'flights',
      tls: false,
    })
  })

  it('reads several brokers, a login, and parameters', () => {
    expect(
      parseTarget(
        'kafka://ann:p%40ss%3Aw%2Frd@a.example.com:9093,b.example.com,[::1]:9094/t?key=origin&tls=true&sasl=scram-sha-512',
      ),
    ).toEqual({
      type: 'kafka',
      name: 't',
      brokers: ['a.example.com:9093', 'b.example.com:9092', '[::1]:9094'],
      topic: 't',
      key: 'origin',
      tls: true,
      sasl: { mechanism: 'SCRAM-SHA-512', username: 'ann', password: 'p@ss:w/rd' },
    })
  })

  it('takes PLAIN for a login that names no mechanism', () => {
    expect(parseTarget('kafka://a:b@h:1/t')).toMatchObject({ sasl: { mechanism: 'PLAIN' } })
  })

  it.each([
    ['kafka:topic', 'must be kafka://'],
    ['kafka://host:9092', 'must be kafka://'],
    ['kafka://host:9092/', 'must be kafka://'],
    ['kafka://host:port/t', 'must be kafka://'],
    ['kafka://host:9092/a/b', 'must be kafka://'],
    ['kafka://h:1,/t', 'must be kafka://'],
    ['kafka://h:1/%ff', 'must be kafka://'],
    ['kafka://h:1/t?acks=0', 'unknown parameter acks; there are key, tls and sasl'],
    ['kafka://h:1/t?tls=yes', 'tls must be true or false'],
    ['kafka://a:b@h:1/t?sasl=gssapi', 'sasl must be one of PLAIN'],
    ['kafka://h:1/t?sasl=plain', 'needs USER:PASSWORD'],
    ['kafka://secret@h:1/t', 'needs USER:PASSWORD'],
    ['kafka://u:secret%zz@h:1/t', 'needs USER:PASSWORD'],
    ['kafka://u:secret@word@h:1/t', 'must be kafka://'],
    ['file:', 'must be file:DIR'],
    ['null', 'must be file:DIR'],
    ['s3://secret@bucket', 'must be file:DIR'],
  ])('refuses %s and does not repeat it', (text, message) => {
    const target = parseTarget(text)
    expect(target).toEqual({ problem: expect.stringContaining(message) })
    expect(JSON.stringify(target)).not.toContain('secret')
  })
})

describe('redact', () => {
  it('hides user and password of every URL', () => {
    expect(redact('--to=kafka://u:se@c/ret@h:1/t and https://x:y@z/ end')).toBe(
      '--to=kafka://***@h:1/t and https://***@z/ end',
    )
    expect(redact('kafka://h:1/t, mail@example.com')).toBe('kafka://h:1/t, mail@example.com')
  })
})
