/** What a host might do to a row of the transfers. */

export function change({ token_address, value, ...row }: Record<string, unknown>): Record<string, unknown> {
  return { ...row, token: String(token_address).toLowerCase(), amount: value }
}
