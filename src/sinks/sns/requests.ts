/** How messages are put into requests, and which of these wait for which. Without I/O. */
import type { Message } from './messages.ts'

/** Most messages of a request. */
export const REQUEST_MESSAGES = 10

/** Requests that go one after the other. */
export type Chain = readonly (readonly Message[])[]

/** Each request by itself: nothing has to wait. */
export function sideBySide(messages: readonly Message[], maxBytes: number): Chain[] {
  return cut(messages, maxBytes).map(request => [request])
}

/** Each group in one of the chains: its messages keep their order, and full requests carry several groups. `most`: chains. */
export function byGroup(messages: readonly Message[], maxBytes: number, most: number): Chain[] {
  const chains = Math.min(most, Math.ceil(messages.length / REQUEST_MESSAGES))
  const chainOf = new Map<string, number>()
  const chained = Array.from({ length: chains }, (): Message[] => [])
  for (const message of messages) {
    const group = message.entry.MessageGroupId!
    const chain = chainOf.get(group) ?? chainOf.size % chains
    chainOf.set(group, chain)
    chained[chain]!.push(message)
  }
  return chained.filter(chain => chain.length > 0).map(chain => cut(chain, maxBytes))
}

/** None of the messages may be larger than `maxBytes`. */
function cut(messages: readonly Message[], maxBytes: number): Message[][] {
  const requests: Message[][] = []
  let bytes = 0
  for (const message of messages) {
    const filling = requests.at(-1)
    if (filling && filling.length < REQUEST_MESSAGES && bytes + message.bytes <= maxBytes) {
      filling.push(message)
      bytes += message.bytes
    } else {
      requests.push([message])
      bytes = message.bytes
    }
  }
  return requests
}
