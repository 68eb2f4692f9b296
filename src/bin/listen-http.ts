import { namingLater } from '../base/system-error.js';
import type { HostPort } from '../config/config.js';
import type { Gateway } from '../gateway/index.js';

/** Opens the door of the Images API. UNAVAILABLE: its address cannot be listened on. */
export function listenHttp(gateway: Gateway, address: HostPort): Promise<HostPort> {
  return namingLater(`--http ${addressOf(address)}`, () => gateway.listen(address.host, address.port));
}

/** HOST:PORT; an IPv6 address stands in brackets. */
export function addressOf({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
