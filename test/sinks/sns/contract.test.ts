import { describe, test } from 'vitest'
import { snsSink } from '../../../src/sinks/sns.ts'
import { testSink } from '../../../src/testing/sink.ts'
import { describeWith } from '../../servers/need.ts'
import { openTunnel } from '../../servers/tunnel.ts'
import { failure, type Relay, type Reply, startRelay } from './relay.ts'
import { CREDENTIALS, createTopic } from './topics.ts'

const MAX_BYTES = 256 * 1024

await describeWith('moto', 'snsSink', ({ endpoint }) => {
  const common = { name: 'test', endpoint, credentials: CREDENTIALS }

  describe.each([false, true])('keeps the contract (FIFO: %s)', fifo => {
    const tests = testSink({
      async create() {
        const topic = await createTopic(endpoint, { fifo, queue: false })
        const relay = await startRelay(endpoint)
        const tunnel = await openTunnel(new URL(relay.url).host)
        const group = fifo ? { group: { column: 'key' } } : {}
        const sink = snsSink({ ...common, endpoint: `http://${tunnel.address}`, topicArn: topic.arn, ...group })
        return Object.assign(sink, { topic, relay, tunnel })
      },
      ordered: fifo,
      // the one character of the suite that goes as an escape
      read: async ({ topic }) => (await topic.published()).map(body => body.replaceAll('\\uffff', '\uffff')),
      dispose: ({ tunnel }) => tunnel.close(),
      manyRows: 1_000,
      faults: {
        stall: ({ tunnel }) => tunnel.stall(),
        interrupt: ({ tunnel }) => tunnel.cut(),
        turnAway({ relay }, mark) {
          relay.rule = onMessages(mark, () => failure(400, 'Throttling', 'Rate exceeded'))
          return () => {
            relay.rule = () => undefined
          }
        },
        // in a request with others the others are not taken either
        refuse({ relay }, mark) {
          relay.rule = onMessages(mark, () => failure(400, 'InvalidParameter', 'Invalid parameter'))
        },
        oversize: () => MAX_BYTES,
        forbid({ relay }) {
          relay.rule = () => failure(403, 'AuthorizationError', 'not authorized to perform: SNS:GetTopicAttributes')
        },
      },
    })
    test.each(tests)('$name', async ({ run }) => run())
  })
})

function onMessages(mark: string, reply: () => Reply): Relay['rule'] {
  return ({ messages }) => (messages.some(({ body }) => body.includes(mark)) ? reply() : undefined)
}
