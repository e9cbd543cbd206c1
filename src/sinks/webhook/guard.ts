/** Names are judged by what they resolve to, at the moment of connecting: DNS may answer otherwise the next time (rebinding). */
import { type LookupAddress, lookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { DeliveryError } from '../../core/errors.ts'
import { addressFilter } from './addresses.ts'

export interface Guard {
  /** For `net.connect`, which connects to what this answers and asks for nothing else. */
  readonly lookup: LookupFunction
  /** Rejects if an address of the host is not permitted; one that cannot be resolved here passes. */
  check(host: string): Promise<void>
}

/** `resolve`: `lookup` of `node:dns`. */
export function createGuard(allowNetworks: readonly string[] = [], resolve: typeof lookup = lookup): Guard {
  const permits = addressFilter(allowNetworks)
  return {
    lookup(host, options, callback) {
      resolve(host, { ...options, all: true }, (error, found: LookupAddress[] = []) => {
        const permitted = found.filter(({ address }) => permits(address))
        const [first] = permitted
        if (error || !first) callback(error ?? refusal(host, found), [])
        else if (options.all) callback(null, permitted)
        else callback(null, first.address, first.family)
      })
    },
    async check(host) {
      const found = await new Promise<readonly LookupAddress[]>(done =>
        resolve(host, { all: true }, (error, found) => done(error ? [] : found)),
      )
      const refused = found.filter(({ address }) => !permits(address))
      if (refused.length > 0) throw refusal(host, refused)
    },
  }
}

function refusal(host: string, found: readonly LookupAddress[]): DeliveryError {
  const addresses = found.map(({ address }) => address).join(', ')
  const message = `${host} (${addresses}) is not a public address: permit its network with allowNetworks`
  return new DeliveryError(message, { code: 'destination_misconfigured' })
}
