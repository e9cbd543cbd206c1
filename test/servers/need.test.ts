import { expect, test } from 'vitest'
import { answersMetadata } from './kafka-facts.ts'
import { describeWith } from './need.ts'

await describeWith('kafka', 'the Kafka of this run', ({ brokers, secure }) => {
  test('answers', async () => {
    await answersMetadata(brokers)
    expect(secure?.brokers.length).toBe(1)
  })
})
