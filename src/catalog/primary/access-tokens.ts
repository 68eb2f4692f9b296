/**
 * Tokens for `sqld`: JWTs signed with Ed25519, whose one claim of ours is `a`. It must always be there: sqld takes a
 * token without it for one with full access (reference libsql.md, section 5).
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ServiceError } from '../../base/service-error.js';

export type Access = 'rw' | 'ro';

const MAX_TTL_SECONDS = 10 * 366 * 24 * 60 * 60;

export class AccessTokens {
  readonly #privateKey: KeyObject;
  /** The file with the public key, for `sqld`. */
  readonly publicKeyPath: string;

  private constructor(privateKey: KeyObject, publicKeyPath: string) {
    this.#privateKey = privateKey;
    this.publicKeyPath = publicKeyPath;
  }

  /** The pair of keys in this folder, made at the first start. Tokens last as long as it does. */
  static open(directory: string): AccessTokens {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const privatePath = join(directory, 'tokens.key');
    let pem = readIfThere(privatePath);
    if (pem === undefined) {
      pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      writePrivately(privatePath, pem);
    }
    const privateKey = createPrivateKey(pem);
    const publicKeyPath = join(directory, 'tokens.pub');
    // Derived anew at each start, so that the two cannot disagree; written only when they do, which a full disk would not take.
    const publicPem = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString();
    if (readIfThere(publicKeyPath) !== publicPem) writePrivately(publicKeyPath, publicPem);
    return new AccessTokens(privateKey, publicKeyPath);
  }

  /** A token that is good for so many seconds. @throws ServiceError INVALID_ARGUMENT: 1 to ten years. */
  mint(access: Access, ttlSeconds: number, nowMs = Date.now()): string {
    if (!Number.isSafeInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > MAX_TTL_SECONDS) {
      throw new ServiceError(
        'INVALID_ARGUMENT',
        `a token lasts 1 to ${MAX_TTL_SECONDS} seconds, got ${ttlSeconds}: ask for less and renew it`,
      );
    }
    const claims = { a: access, exp: Math.floor(nowMs / 1000) + ttlSeconds };
    const content = `${encode({ alg: 'EdDSA', typ: 'JWT' })}.${encode(claims)}`;
    return `${content}.${sign(null, Buffer.from(content), this.#privateKey).toString('base64url')}`;
  }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whole or not at all: half a key after a power failure would lock every replica out. */
function writePrivately(path: string, text: string): void {
  const next = `${path}.next`;
  const file = openSync(next, 'w', 0o600);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(next, path);
}
