import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';

const HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

export interface OriginOptions {
  /** Taken before everything else, such as `https://images.example.org`. */
  readonly publicEndpoint?: string;
  /** Addresses and networks (`10.0.0.0/8`) whose X-Forwarded-Proto and X-Forwarded-Host are believed. */
  readonly trustedProxies: readonly string[];
}

/** Finds the scheme and host under which a client reaches this service (reference §2.5 `href`, §12.1 step 3). */
export class PublicOrigin {
  readonly #publicEndpoint: string | undefined;
  readonly #trusted = new BlockList();

  /** Throws when a trusted proxy is neither an address nor a network. */
  constructor(options: OriginOptions) {
    this.#publicEndpoint = options.publicEndpoint?.replace(/\/+$/, '');
    for (const proxy of options.trustedProxies) trust(this.#trusted, proxy);
  }

  /** The origin of the request, without a trailing slash. */
  of(request: IncomingMessage): string {
    if (this.#publicEndpoint !== undefined && this.#publicEndpoint !== '') return this.#publicEndpoint;
    const trusted = this.#isTrusted(request.socket.remoteAddress);
    const proto = trusted ? firstOf(request.headers['x-forwarded-proto'])?.toLowerCase() : undefined;
    const scheme = proto === 'http' || proto === 'https' ? proto : 'encrypted' in request.socket ? 'https' : 'http';
    const forwardedHost = trusted ? firstOf(request.headers['x-forwarded-host']) : undefined;
    return `${scheme}://${validHost(forwardedHost) ?? validHost(request.headers.host) ?? localHost(request)}`;
  }

  #isTrusted(address: string | undefined): boolean {
    if (address === undefined) return false;
    const plain = address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
    return this.#trusted.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4');
  }
}

function trust(list: BlockList, proxy: string): void {
  const [address = '', prefix] = proxy.split('/', 2);
  const family = isIP(address);
  const bits = prefix === undefined ? null : Number(prefix);
  const fits = bits === null || (Number.isInteger(bits) && bits >= 0 && bits <= (family === 6 ? 128 : 32));
  if (family === 0 || !fits) {
    throw new Error(`trusted_proxies: expected an address or a network such as 10.0.0.0/8, got "${proxy}"`);
  }
  if (bits === null) list.addAddress(address, family === 6 ? 'ipv6' : 'ipv4');
  else list.addSubnet(address, bits, family === 6 ? 'ipv6' : 'ipv4');
}

function firstOf(header: string | string[] | undefined): string | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  return text?.split(',', 1)[0]?.trim();
}

function validHost(host: string | undefined): string | undefined {
  return host !== undefined && HOST.test(host) ? host : undefined;
}

function localHost(request: IncomingMessage): string {
  const { localAddress = '127.0.0.1', localPort = 80 } = request.socket;
  return `${isIP(localAddress) === 6 ? `[${localAddress}]` : localAddress}:${localPort}`;
}
