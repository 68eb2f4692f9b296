import { readFile, stat } from 'node:fs/promises';
import type { StoreId } from '../../base/brand.js';
import { ServiceError } from '../../base/service-error.js';

const MOST_BYTES = 64 * 1024;

/**
 * Reads a file of credentials that an option of a store names. INVALID_ARGUMENT: it cannot be read, is too large, or is open
 * to everyone. What is in it never gets into a message.
 */
export async function readSecretFile(file: string, option: string, storeId: StoreId): Promise<string> {
  const bad = (problem: string, cause?: unknown): ServiceError =>
    new ServiceError('INVALID_ARGUMENT', `[stores.${storeId}] ${option}: ${problem} (${file})`, { cause });
  try {
    const facts = await stat(file);
    // The group may be in: that is how systemd and Kubernetes hand secrets to a service.
    if ((facts.mode & 0o007) !== 0)
      throw bad(`mode ${(facts.mode & 0o777).toString(8)} lets everyone in; expected 600 or 640`);
    if (facts.size > MOST_BYTES) throw bad(`${facts.size} bytes; expected at most ${MOST_BYTES}`);
    return await readFile(file, 'utf8');
  } catch (error) {
    throw error instanceof ServiceError ? error : bad('cannot be read', error);
  }
}

/** The same for a file that has one secret, alone on its first line. INVALID_ARGUMENT, too: that line is empty. */
export async function readSecretLine(file: string, option: string, storeId: StoreId): Promise<string> {
  const [line = ''] = (await readSecretFile(file, option, storeId)).split(/\r?\n/, 1);
  if (line !== '') return line;
  throw new ServiceError('INVALID_ARGUMENT', `[stores.${storeId}] ${option}: its first line is empty (${file})`);
}
