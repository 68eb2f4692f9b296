import { createServer } from 'node:net';

/** A TCP port of the loopback address that was free a moment ago, for programs that cannot bind port 0 themselves. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise<void>((resolve, reject) => {
    server.close((error) => {
      if (error === undefined) resolve();
      else reject(error);
    });
  });
  if (address === null || typeof address === 'string') throw new Error('a listening TCP server has an address');
  return address.port;
}
