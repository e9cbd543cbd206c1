import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import * as kafka from '@platformatic/kafka'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Wire } from '../../../src/sinks/kafka/wire.ts'

/** A wire to a server that answers whatever it gets first with these bytes. */
async function wireTo(answer: Buffer, timeoutMs = 10_000): Promise<Wire> {
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => socket.write(answer))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const connection = new kafka.Connection('millrace-tests')
  connection.on('error', () => {})
  await connection.connect('127.0.0.1', (server.address() as AddressInfo).port)
  onTestFinished(async () => {
    await connection.close()
    server.close()
  })
  return new Wire(kafka, connection, timeoutMs)
}

function framed(id: number, body: string): Buffer {
  const head = Buffer.alloc(8)
  head.writeInt32BE(4 + body.length)
  head.writeInt32BE(id, 4)
  return Buffer.concat([head, Buffer.from(body)])
}

test('an answer goes to the request whose id it names, whatever the order', async () => {
  const wire = await wireTo(Buffer.concat([framed(-3, 'second'), framed(-7, 'nobody asked'), framed(-2, 'first')]))
  const ids = [wire.nextId(), wire.nextId()]
  expect(ids).toEqual([-2, -3])
  const answers = ids.map(id => wire.ask(id, [Buffer.from('?')], true))
  expect((await Promise.all(answers)).map(String)).toEqual(['first', 'second'])
})

describe('what no Kafka would answer ends the connection, and nothing else', () => {
  test.each([
    ['a length of 0', '0000000000000000'],
    ['too short for an id', '00000003ffffffff'],
    ['a negative length', 'fffffffcffffffff'],
    ['a negative length that leads far back', '80000000ffffffff'],
    ['an id of the client, which asked for nothing', '0000000400000001'],
  ])('%s', async (_, hex) => {
    const wire = await wireTo(Buffer.from(hex, 'hex'))
    await expect(wire.ask(wire.nextId(), [Buffer.from('?')], true)).rejects.toThrow('Connection error')
    expect(wire.connection.isConnected()).toBe(false)
  })
})

test('no answer in time ends the connection', async () => {
  const wire = await wireTo(Buffer.alloc(0), 50)
  await expect(wire.ask(wire.nextId(), [Buffer.from('?')], true)).rejects.toThrow('Request timed out')
})
