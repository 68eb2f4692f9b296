import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2, type SecureClientSessionOptions } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { Channel, type ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js';

/**
 * A channel whose connection can be given up for a new one. A network that drops packets for a while leaves connections behind
 * over which the kernel sends again only after pauses that have grown to minutes, those that are being made among them; and
 * grpc-js neither ends what it is connecting nor tries anew beside it.
 */
export class RenewableChannel extends Channel {
  readonly #make: () => Channel;
  /** What took the place of this channel's own connection. */
  #newer: Channel | undefined;

  constructor(target: string, credentials: ChannelCredentials, options: ChannelOptions) {
    // Channels to one address would share their connections else.
    const own = { ...options, 'grpc.use_local_subchannel_pool': 1 };
    super(target, credentials, own);
    this.#make = () => new Channel(target, credentials, own);
  }

  /** Sends later calls over a new connection. What runs over the old one stays there; what waits for it fails with UNAVAILABLE. */
  renew(): void {
    const old = this.#newer;
    this.#newer = this.#make();
    if (old === undefined) super.close();
    else old.close();
  }

  override createCall(...call: Parameters<Channel['createCall']>): ReturnType<Channel['createCall']> {
    return this.#newer === undefined ? super.createCall(...call) : this.#newer.createCall(...call);
  }

  override close(): void {
    if (this.#newer === undefined) super.close();
    else this.#newer.close();
  }
}

/** Tells whether the gRPC server at `target` (as `targetOf` writes it) answers a new connection within the time. */
export async function answersAnew(
  target: string,
  tls: Pick<SecureClientSessionOptions, 'ca' | 'cert' | 'key'> | undefined,
  withinMs: number,
): Promise<boolean> {
  const session = sessionTo(target, tls);
  try {
    await once(session, 'remoteSettings', { signal: AbortSignal.timeout(withinMs) });
    return true;
  } catch {
    // Refused, closed or silent: it does not answer.
    return false;
  } finally {
    // One that is destroyed may still tell of its connection's end.
    session.on('error', () => undefined);
    session.destroy();
  }
}

function sessionTo(target: string, tls: SecureClientSessionOptions | undefined): ClientHttp2Session {
  if (!target.startsWith('unix://')) return connectHttp2(`${tls === undefined ? 'http' : 'https'}://${target}`, tls);
  const path = target.slice('unix://'.length);
  return connectHttp2('http://localhost', { createConnection: () => connectSocket(path) });
}
