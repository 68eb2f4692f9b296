import { createServer } from 'node:net';
import { ServiceError } from '../../base/service-error.js';

/**
 * The port itself when nobody listens on it on loopback, or a free one for 0.
 *
 * @throws ServiceError UNAVAILABLE when it is taken or may not be used.
 */
export async function loopbackPort(wanted: number): Promise<number> {
  const server = createServer();
  try {
    return await new Promise<number>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: '127.0.0.1', port: wanted, exclusive: true }, () => {
        const address = server.address();
        if (address === null || typeof address === 'string') reject(new Error('no port was given'));
        else resolve(address.port);
      });
    });
  } catch (cause) {
    const why =
      cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE' ? 'is taken' : 'cannot be used';
    throw new ServiceError(
      'UNAVAILABLE',
      `port ${wanted} of 127.0.0.1 ${why}: stop the program that listens there, or give the primary another port`,
      { cause },
    );
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}
