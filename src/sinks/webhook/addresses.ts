/**
 * Which addresses a webhook may be sent to. A URL that somebody else chose must not reach into the network that the host runs in
 * (server-side request forgery, OWASP), so only public addresses are taken, by the IANA registries of special-purpose addresses.
 */
import { BlockList, isIP, isIPv4 } from 'node:net'

/** The rest of IPv4 is public. */
const SPECIAL_IPV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10', // carrier-grade NAT, and the metadata service of Alibaba
  '127.0.0.0/8',
  '168.63.129.16/32', // Azure's host, public only by its number
  '169.254.0.0/16', // link-local, and with it the metadata services
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]

/** IPv6 is public only in here ... */
const GLOBAL_IPV6 = ['2000::/3']

/** ... but for these. 6to4 and Teredo carry an IPv4 address that a relay would connect to. */
const SPECIAL_IPV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']

const specialIpv4 = networks(SPECIAL_IPV4)
const globalIpv6 = networks(GLOBAL_IPV6)
const specialIpv6 = networks(SPECIAL_IPV6)

/** Answers whether an address may be connected to: it is public, or in one of the networks (CIDR) that are allowed. */
export function addressFilter(allowNetworks: readonly string[]): (address: string) => boolean {
  const allowed = networks(allowNetworks)
  return address => {
    const plain = withoutZone(address)
    if (isIP(plain) === 0) return false
    const target = embeddedIpv4(plain) ?? plain
    return contains(allowed, plain) || contains(allowed, target) || isPublic(target)
  }
}

/** `10.0.0.0/8`, `fd00::/8` */
export function isNetwork(text: string): boolean {
  const [address, prefix, ...rest] = text.split('/')
  if (rest.length > 0 || isIP(address!) === 0 || !/^\d{1,3}$/.test(prefix ?? '')) return false
  return Number(prefix) <= (isIPv4(address!) ? 32 : 128)
}

function networks(all: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of all) {
    const [address, prefix] = network.split('/')
    list.addSubnet(address!, Number(prefix), family(address!))
  }
  return list
}

function isPublic(address: string): boolean {
  if (isIPv4(address)) return !contains(specialIpv4, address)
  return contains(globalIpv6, address) && !contains(specialIpv6, address)
}

function contains(list: BlockList, address: string): boolean {
  return list.check(address, family(address))
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIPv4(address) ? 'ipv4' : 'ipv6'
}

/** A link-local address may come with its interface: `fe80::1%eth0`. */
function withoutZone(address: string): string {
  return address.replace(/%.*$/, '')
}

/**
 * The address that is really meant by an IPv4-mapped one (`::ffff:0:0/96`, RFC 4291) and by one of a NAT64 (`64:ff9b::/96`, RFC 6052),
 * which is how a network without IPv4 reaches every public address of that kind.
 */
function embeddedIpv4(address: string): string | undefined {
  if (isIPv4(address)) return undefined
  const groups = groupsOf(address)
  const prefix = groups.slice(0, 6).join(':')
  if (prefix !== '0:0:0:0:0:ffff' && prefix !== '64:ff9b:0:0:0:0') return undefined
  return groups
    .slice(6)
    .map(group => Number.parseInt(group, 16))
    .flatMap(group => [group >> 8, group & 0xff])
    .join('.')
}

/** The eight groups, without leading zeros; the URL parser turns every notation into one. */
function groupsOf(address: string): string[] {
  const [head, tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const before = head ? head.split(':') : []
  const behind = tail ? tail.split(':') : []
  return [...before, ...Array<string>(8 - before.length - behind.length).fill('0'), ...behind]
}
