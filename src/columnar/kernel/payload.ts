/** Where the payload lies of the row that was written last, without its framing. */
export let payloadStart: usize = 0
export let payloadEnd: usize = 0

@inline
export function payload(start: usize, end: usize): void {
  payloadStart = start
  payloadEnd = end
}
