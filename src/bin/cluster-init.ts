import { writeFileSync } from 'node:fs';
import { ServiceError } from '../base/service-error.js';
import { newClusterKey } from '../identity/cluster-key.js';

/** Makes the key of a cluster. ALREADY_EXISTS: the file is there; a key is never replaced, or the nodes would be strangers. */
export function writeClusterKey(file: string): void {
  try {
    writeFileSync(file, newClusterKey(), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    throw new ServiceError('ALREADY_EXISTS', `${file} exists: a key is not replaced; name another file`);
  }
}
