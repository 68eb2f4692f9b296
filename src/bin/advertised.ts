import { hostname } from 'node:os';
import type { NodeConfig } from '../config/config.js';

/** The host by which other nodes reach this one: as configured, or as it listens, or the machine's name for "any address". */
export function advertisedHost(node: NodeConfig): string {
  if (node.advertise !== null) return node.advertise;
  return node.http.host === '0.0.0.0' || node.http.host === '::' ? hostname() : node.http.host;
}

/** The host as a URL or HOST:PORT has it. */
export function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** The address at which a door is open, as other nodes reach it: `listens` is `SCHEME://HOST:PORT` or `HOST:PORT`. */
export function advertised(node: NodeConfig, listens: string): string {
  const scheme = /^https?:\/\//.exec(listens)?.[0] ?? '';
  return `${scheme}${urlHost(advertisedHost(node))}:${listens.slice(listens.lastIndexOf(':') + 1)}`;
}
