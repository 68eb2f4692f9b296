import { lstatSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { ServiceError } from '../base/service-error.js';
import { naming } from '../base/system-error.js';

/** The most bytes of a socket's path; what is longer would be cut off. */
const PATH_MAX_BYTES = 107;

/**
 * Removes the socket that an earlier process left at the path. STATE_CONFLICT: a process listens on it, or the file is no
 * socket. INVALID_ARGUMENT: the path is too long for a socket.
 */
export async function clearSocket(path: string): Promise<void> {
  if (Buffer.byteLength(path) > PATH_MAX_BYTES)
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `--socket ${path}: expected a path of at most ${PATH_MAX_BYTES} bytes: name a shorter one`,
    );
  const found = naming(`--socket ${path}`, () => lstatSync(path, { throwIfNoEntry: false }));
  if (found === undefined) return;
  if (!found.isSocket())
    throw new ServiceError(
      'STATE_CONFLICT',
      `--socket: ${path} exists and is no socket: name another path, or remove it`,
    );
  if (await isListening(path))
    throw new ServiceError('STATE_CONFLICT', `--socket: another process listens on ${path}: name another path`);
  rmSync(path, { force: true });
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = createConnection(path);
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', () => resolve(false));
  });
}
