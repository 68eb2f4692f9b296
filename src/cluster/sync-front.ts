/** TLS in front of sqld, which has none: the way by which edges copy the catalog. It listens on the loopback otherwise. */
import { connect } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { createServer, type TLSSocket } from 'node:tls';
import type { Log } from '../application/log.js';
import { ServiceError } from '../base/service-error.js';

const HANDSHAKE_MS = 10_000;
/** Above the pause between two syncs: a connection that carries nothing for so long has lost its other end. */
const IDLE_MS = 300_000;
/** Each edge has one or two. */
const MOST_CONNECTIONS = 1000;

export interface SyncFrontOptions {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** PEM texts: the node's certificate and key. Who comes in must show a token to sqld. */
  readonly tls: { readonly cert: string; readonly key: string };
  /** Port of sqld on the loopback. */
  readonly sqldPort: number;
  readonly log: Log;
}

export interface SyncFront {
  readonly port: number;
  close(): Promise<void>;
}

/** Starts to listen. UNAVAILABLE: the port is taken or may not be used. */
export async function openSyncFront({ host, port, tls, sqldPort, log }: SyncFrontOptions): Promise<SyncFront> {
  const open = new Set<TLSSocket>();
  const server = createServer({ ...tls, handshakeTimeout: HANDSHAKE_MS, minVersion: 'TLSv1.2' }, (outside) => {
    open.add(outside);
    outside.once('close', () => open.delete(outside));
    outside.setTimeout(IDLE_MS, () => outside.destroy());
    const inside = connect(sqldPort, '127.0.0.1');
    // An edge that is killed breaks off, and sqld does when it is restarted: the next sync connects anew.
    Promise.all([pipeline(outside, inside), pipeline(inside, outside)]).catch((error: unknown) =>
      log.info({ err: error }, 'a connection that copies the catalog broke off'),
    );
  });
  server.maxConnections = MOST_CONNECTIONS;
  server.on('tlsClientError', (error, socket) => {
    log.warn({ err: error, from: socket.remoteAddress }, 'a connection to copy the catalog was refused');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: Error) => {
      const message = `port ${port} of ${host} cannot be used to copy the catalog from: ${cause.message}`;
      reject(new ServiceError('UNAVAILABLE', message, { cause }));
    });
    server.listen(port, host, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('expected the server to have a port');
  return {
    port: address.port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
