import { lstatSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { ServiceError } from '../base/service-error.js';

/**
 * Removes the socket that an earlier process left at the path. STATE_CONFLICT: a process listens on it, or the file is no
 * socket.
 */
export async function clearSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
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
