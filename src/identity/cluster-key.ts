import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ServiceError } from '../base/service-error.js';

const MIN_BYTES = 32;

/** Proofs that an epoch was seen by a node of this cluster, in this catalog. */
export interface EpochProofs {
  prove(epoch: number): Buffer;
  proves(epoch: number, proof: Uint8Array): boolean;
}

/** The secret that all nodes of a cluster share. It proves who may join, and is never sent. */
export class ClusterKey {
  readonly #secret: Buffer;

  constructor(secret: Buffer) {
    this.#secret = secret;
  }

  /** What a node joins with: HMAC-SHA256 of its id, a line feed and its public key. */
  proof(nodeId: string, publicKey: string): Buffer {
    return createHmac('sha256', this.#secret).update(`${nodeId}\n${publicKey}`).digest();
  }

  /** Proofs of epochs of one catalog: of the word `epoch`, which is no node's id, the catalog's number and the epoch. */
  epochsOf(catalogId: () => number): EpochProofs {
    const text = (epoch: number): string => `${catalogId()} ${epoch}`;
    return {
      prove: (epoch) => this.proof('epoch', text(epoch)),
      proves: (epoch, proof) => this.proves('epoch', text(epoch), proof),
    };
  }

  /** Tells whether the proof was made with this key. */
  proves(nodeId: string, publicKey: string, proof: Uint8Array): boolean {
    const expected = this.proof(nodeId, publicKey);
    return proof.length === expected.length && timingSafeEqual(proof, expected);
  }
}

/** Reads a key file: at least 32 bytes in base64, alone on its first line. INVALID_ARGUMENT: it is not there, or none. */
export function readClusterKey(file: string): ClusterKey {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `catalog.cluster_key_file: ${file} cannot be read; "oriel cluster init" makes one`,
      { cause },
    );
  }
  const secret = Buffer.from(text.split('\n', 1)[0]?.trim() ?? '', 'base64');
  if (secret.length < MIN_BYTES)
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `catalog.cluster_key_file: expected ${MIN_BYTES} bytes or more in base64, found ${secret.length}`,
    );
  return new ClusterKey(secret);
}

/** Makes the text of a key file. */
export function newClusterKey(): string {
  return `${randomBytes(MIN_BYTES).toString('base64')}\n`;
}
