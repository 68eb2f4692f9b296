/** Which addresses the service connects to for a URL that somebody else chose (Images API v2 §14.2). */
import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/** RFC 1918. */
const PRIVATE_V4 = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'];
/** RFC 4193, unique local addresses. */
const PRIVATE_V6 = ['fc00::/7'];

/** IANA IPv4 Special-Purpose Address Registry, multicast and the reserved rest; private addresses are above. */
const REFUSED_V4 = [
  '0.0.0.0/8', // this network, the unspecified address
  '100.64.0.0/10', // shared by carriers (CGNAT)
  '127.0.0.0/8', // loopback
  '169.254.0.0/16', // link-local, the metadata services of clouds
  '192.0.0.0/24', // protocol assignments
  '192.0.2.0/24', // documentation
  '192.88.99.0/24', // relays of 6to4
  '198.18.0.0/15', // benchmarks
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, broadcast
];

/**
 * Only what is routed worldwide is taken of IPv6, so that loopback, unspecified, link-local, multicast, IPv4-mapped and
 * NAT64 addresses need no rows.
 */
const WORLDWIDE_V6 = '2000::/3';
const REFUSED_V6 = [
  '2001::/23', // protocol assignments: Teredo, ORCHID, benchmarks
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4, which holds any IPv4 address
  '3fff::/20', // documentation
];

/** The addresses of this machine, whatever range they are of. */
export function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((each) => (each ?? []).map(({ address }) => address));
}

export class AddressRules {
  readonly #v4: BlockList;
  readonly #worldwide = listOf([WORLDWIDE_V6], 'ipv6');
  readonly #refusedV6 = listOf(REFUSED_V6, 'ipv6');
  readonly #privateV6 = listOf(PRIVATE_V6, 'ipv6');
  readonly #allowPrivate: boolean;
  readonly #own: () => readonly string[];

  constructor(options: { readonly allowPrivate: boolean; readonly own?: () => readonly string[] }) {
    this.#allowPrivate = options.allowPrivate;
    this.#own = options.own ?? ownAddresses;
    this.#v4 = listOf([...REFUSED_V4, ...(options.allowPrivate ? [] : PRIVATE_V4)], 'ipv4');
  }

  /** Returns why the address is refused, for the log; undefined: it is taken. */
  refusal(address: string): string | undefined {
    const family = isIP(address);
    if (family === 0) return 'not an address';
    if (this.#isOwn(address, family)) return 'an address of this machine';
    if (family === 4) return this.#v4.check(address, 'ipv4') ? 'not a public address' : undefined;
    if (this.#allowPrivate && this.#privateV6.check(address, 'ipv6')) return undefined;
    const isPublic = this.#worldwide.check(address, 'ipv6') && !this.#refusedV6.check(address, 'ipv6');
    return isPublic ? undefined : 'not a public address';
  }

  // A list, as one address of IPv6 has many texts.
  #isOwn(address: string, family: number): boolean {
    const type = family === 4 ? 'ipv4' : 'ipv6';
    const own = new BlockList();
    for (const each of this.#own()) if (isIP(each) === family) own.addAddress(each, type);
    return own.check(address, type);
  }
}

function listOf(networks: readonly string[], type: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    list.addSubnet(address, Number(bits), type);
  }
  return list;
}
