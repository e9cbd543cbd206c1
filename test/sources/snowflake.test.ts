import { afterAll, beforeAll, describe, test } from 'vitest'
import { testSource } from '../../src/testing/source.ts'
import type { SnowflakeServer } from '../servers/snowflake/server.ts'
import { sourceOn, startAccount, TEST_TABLE } from './snowflake/account.ts'

let server: SnowflakeServer
beforeAll(async () => {
  server = await startAccount()
})
afterAll(() => server.stop())

describe('the suite of sources', () => {
  const create = () => sourceOn(server)

  for (const { name, run } of testSource({ create, table: TEST_TABLE })) test(name, run)
})
