/** Answers that are longer than memory should hold. */

const encoder = new TextEncoder()

/** A stream of the texts, in parts that are worth a write. `onBroken` is told of what ends it early; the client's going away is no such thing. */
export function textStream(
  texts: AsyncIterator<string>,
  onBroken: (error: unknown) => void,
): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await texts.next()
        if (done) controller.close()
        else controller.enqueue(encoder.encode(value))
      } catch (error) {
        onBroken(error)
        controller.error(new Error('the answer broke off'))
      }
    },
    async cancel() {
      await texts.return?.()
    },
  })
}

const PART_CHARS = 64 * 1_024

/** Items as lines of JSON. Rejects if the first cannot be had, so that the answer can still be an error. */
export async function linesResponse(
  items: AsyncIterable<unknown>,
  type: string,
  onBroken: (error: unknown) => void,
): Promise<Response> {
  const lines = partsOf(items)
  const first = await lines.next()
  return new Response(textStream(startingWith(first, lines), onBroken), { headers: { 'content-type': type } })
}

async function* partsOf(items: AsyncIterable<unknown>): AsyncGenerator<string> {
  let part = ''
  for await (const item of items) {
    part += `${JSON.stringify(item)}\n`
    if (part.length < PART_CHARS) continue
    yield part
    part = ''
  }
  if (part !== '') yield part
}

export async function* startingWith<T>(first: IteratorResult<T>, rest: AsyncGenerator<T>): AsyncGenerator<T> {
  if (first.done) return
  yield first.value
  yield* rest
}
