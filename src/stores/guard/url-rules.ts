/**
 * What the text of a URL must be before anything is asked of it (Images API v2 §14.2). The text is judged, not what the parser
 * makes of it: that one reads `127.1`, `0x7f000001` and `０` as addresses, and drops blanks.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { ServiceError } from '../../base/service-error.js';

export interface UrlRules {
  /** Of `http` and `https`. */
  readonly allowedSchemes: readonly string[];
  /** Empty: any. */
  readonly allowedPorts: readonly number[];
  /** `host` or `host:port`, whatever addresses they have. */
  readonly allowedHosts: readonly string[];
}

/** A URL that may be asked for, unless its host has an address that may not. */
export interface CheckedUrl {
  readonly href: string;
  /** Without the brackets of IPv6. */
  readonly hostname: string;
  readonly port: number;
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 };
const HOST_MAX = 253;
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;

/** Checks the text. INVALID_ARGUMENT: not a URL that the service fetches; the message does not repeat it. */
export function checkUrl(text: string, rules: UrlRules, mostCharacters: number): CheckedUrl {
  if (text.length > mostCharacters) throw refused(`expected at most ${mostCharacters} characters`);
  if (!/^[\x21-\x7e]+$/.test(text) || /[\\#]/.test(text))
    throw refused('expected ASCII without blanks, "\\" and fragment');
  const [, scheme = '', authority = ''] = /^([a-z][a-z0-9+.-]*):\/\/([^/?]*)/i.exec(text) ?? [];
  const protocol = scheme.toLowerCase();
  const defaultPort = DEFAULT_PORTS[protocol];
  if (defaultPort === undefined || !rules.allowedSchemes.includes(protocol))
    throw refused(`expected one of the schemes ${rules.allowedSchemes.join(', ')}`);
  if (authority.includes('@')) throw refused('expected no user and no password');
  const [, bracketed, named, portText] = /^(?:\[([^\]]*)\]|([^[\]:]*))(?::(\d{1,5}))?$/.exec(authority) ?? [];
  const isHost = bracketed === undefined ? isHostName(named ?? '') : isIPv6(bracketed) && !bracketed.includes('%');
  // The parser must have understood the same.
  const url = isHost && URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (bracketed === undefined && url.hostname !== named?.toLowerCase()))
    throw refused('expected a host name, an IPv4 address such as 192.0.2.1 or an IPv6 address in brackets');
  const port = portText === undefined ? defaultPort : Number(portText);
  const isPort = rules.allowedPorts.length === 0 ? port > 0 : rules.allowedPorts.includes(port);
  if (!isPort) throw refused(`expected one of the ports ${rules.allowedPorts.join(', ') || '1 to 65535'}`);
  return { href: url.href, hostname: url.hostname.replace(/^\[|\]$/g, ''), port };
}

/** Tells whether the operator lets this host past the address rules. */
export function isAllowedHost({ allowedHosts }: UrlRules, hostname: string, port: number): boolean {
  const host = hostname.includes(':') ? `[${hostname}]` : hostname.toLowerCase();
  return allowedHosts.some((allowed) => [host, `${host}:${port}`].includes(allowed.toLowerCase()));
}

// A last label of digits, or of hex after "0x", is read as an address by parsers; a dot at the end is another spelling.
function isHostName(host: string): boolean {
  if (isIPv4(host)) return true;
  const labels = host.split('.');
  const last = labels.at(-1) ?? '';
  return host.length <= HOST_MAX && labels.every((label) => LABEL.test(label)) && !/^(\d+|0x[0-9a-f]*)$/i.test(last);
}

function refused(expected: string): ServiceError {
  return new ServiceError('INVALID_ARGUMENT', `url: ${expected}`);
}
