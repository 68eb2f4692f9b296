import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { asImageId, asNodeId, type NodeId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import { makeFile } from '../hostfs/make-file.js';

/**
 * Returns the id of the node that owns the data folder; the first start makes it, whole or not at all. DATA_CORRUPT: the
 * file holds no id.
 */
export function nodeIdOf(dataDir: string): NodeId {
  const file = join(dataDir, 'node-id');
  const id = readId(file) ?? makeId(file);
  // Node ids are UUIDs like those of images.
  if (asImageId(id) === undefined)
    throw new ServiceError(
      'DATA_CORRUPT',
      `${file} must hold the UUID of the node: restore it, or the uploads that it leased are lost`,
    );
  return asNodeId(id);
}

function readId(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function makeId(file: string): string {
  const id = randomUUID();
  makeFile(file, `${id}\n`, 0o640);
  return id;
}
