import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ServiceError } from '../base/service-error.js';
import { makeFile } from '../hostfs/make-file.js';

/** The pair by which a node signs what it says, and others check it. */
export interface NodeKey {
  readonly privateKey: KeyObject;
  /** SubjectPublicKeyInfo, PEM. */
  readonly publicKey: string;
}

/** Reads the Ed25519 key of the node in this data folder; the first start makes it. DATA_CORRUPT: the file holds none. */
export function nodeKeyOf(dataDir: string): NodeKey {
  const file = join(dataDir, 'node-key.pem');
  const pem = readKey(file) ?? makeKey(file);
  try {
    const privateKey = createPrivateKey(pem);
    if (privateKey.asymmetricKeyType !== 'ed25519') throw new Error(`it is ${String(privateKey.asymmetricKeyType)}`);
    return { privateKey, publicKey: createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString() };
  } catch (cause) {
    throw new ServiceError(
      'DATA_CORRUPT',
      `${file} must hold an Ed25519 key in PEM: remove it, and the node makes a new one and joins with it`,
      { cause },
    );
  }
}

function readKey(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function makeKey(file: string): string {
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  makeFile(file, pem, 0o600);
  return pem;
}
