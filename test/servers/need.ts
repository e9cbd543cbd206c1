import { describe, inject, test } from 'vitest'
import type { Answer } from './setup.ts'
import type { FactsOf, ServerName } from './table.ts'

/**
 * A suite that runs against a real server, which is started for the first file that asks for it:
 *
 *     await describeWith('kafka', 'the kafka sink', ({ brokers }) => { ... })
 *
 * Where the machine has none, the suite is skipped under a name that says what to install; with
 * MILLRACE_REQUIRE_SERVERS=1 that fails the run instead. A server that is there and does not start always does.
 */
export async function describeWith<Name extends ServerName>(
  name: Name,
  title: string,
  suite: (facts: FactsOf<Name>) => void,
): Promise<void> {
  const response = await fetch(`${inject('serversUrl')}/${name}`)
  const answer = (await response.json()) as Answer<FactsOf<Name>>
  if ('facts' in answer) {
    describe(title, () => suite(answer.facts))
    return
  }
  if ('broken' in answer) throw new Error(answer.broken)
  if (process.env['MILLRACE_REQUIRE_SERVERS'] === '1') {
    throw new Error(`no ${name} to test against, and MILLRACE_REQUIRE_SERVERS=1: ${answer.missing}`)
  }
  describe.skip(title, () => test(`needs ${name}: ${answer.missing}`, () => {}))
}
