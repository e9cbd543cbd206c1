import { kafkaJars, startApacheKafka } from './kafka-apache.ts'
import { answersMetadata, type KafkaFacts } from './kafka-facts.ts'
import { hasContainers, startRedpanda } from './kafka-redpanda.ts'
import { CannotStart, type Started, type TestServer } from './server.ts'

/**
 * A broker of KAFKA_BROKERS if that is set, else Redpanda where a container runtime answers, else Apache Kafka's own jars
 * where Java and Maven are. Topics that tests make have names of their own, so that a broker can be shared.
 */
export const kafka: TestServer<KafkaFacts> = {
  async start(): Promise<Started<KafkaFacts>> {
    const given = process.env['KAFKA_BROKERS']
    if (given) {
      const brokers = given.split(',')
      await answersMetadata(brokers)
      return { facts: { brokers, secure: null, door: null }, stop: async () => {} }
    }
    if (await hasContainers()) return startRedpanda()
    const jars = await kafkaJars()
    if (jars !== undefined) return startApacheKafka(jars)
    throw new CannotStart('set KAFKA_BROKERS, start Docker, or install Java 17 and Maven')
  },
}
