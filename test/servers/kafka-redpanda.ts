import { answersMetadata, type KafkaFacts } from './kafka-facts.ts'
import { freePorts } from './process.ts'
import type { Started } from './server.ts'

const IMAGE = 'redpandadata/redpanda:v26.1.14'

/** The docker command may be there without a daemon, so the daemon is asked. */
export async function hasContainers(): Promise<boolean> {
  const { getContainerRuntimeClient } = await import('testcontainers')
  return getContainerRuntimeClient().then(
    () => true,
    () => false,
  )
}

export async function startRedpanda(): Promise<Started<KafkaFacts>> {
  const { GenericContainer, Wait } = await import('testcontainers')
  // the broker tells clients its own address, so the port outside has to be known before it starts
  const [port] = (await freePorts(1)) as [number]
  const container = await new GenericContainer(IMAGE)
    .withExposedPorts({ container: port, host: port })
    .withCommand([
      'redpanda',
      'start',
      '--mode=dev-container',
      '--smp=1',
      '--memory=512M',
      `--kafka-addr=PLAINTEXT://0.0.0.0:${port}`,
      `--advertise-kafka-addr=PLAINTEXT://127.0.0.1:${port}`,
    ])
    .withWaitStrategy(Wait.forListeningPorts())
    .start()
  const brokers = [`127.0.0.1:${port}`]
  await answersMetadata(brokers)
  return { facts: { brokers, secure: null, door: null }, stop: async () => void (await container.stop()) }
}
