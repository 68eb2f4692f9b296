/**
 * Where a file store keeps what.
 *
 *   <root>/objects/ab/cd/<name>     an object; abcd are the first digits of the SHA-256 of its key, so that no folder grows
 *                                   past some thousand entries; <name> is the key with `~` for `/`
 *   <root>/tmp/<keyed>.<random>     an object being written; <keyed> is the first 32 digits of the same SHA-256, so that
 *                                   what an interrupted put left can be found by key
 *   <root>/store-id                 by which a node knows the folder again (`store-marker.ts`)
 *
 * `~` is not a character of keys, so names and keys match one to one; a key has at most 255 characters, as many as a name
 * may have bytes.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { asObjectKey, type ObjectKey } from '../../base/brand.js';

export interface ObjectPlace {
  /** The folder of the object. */
  readonly folder: string;
  /** The object's path. */
  readonly path: string;
  /** What names of temporary files of this key start with. */
  readonly temporaryPrefix: string;
}

/** The folder of the objects. */
export function objectsFolder(root: string): string {
  return join(root, 'objects');
}

/** The folder of unfinished files. */
export function temporaryFolder(root: string): string {
  return join(root, 'tmp');
}

/** The key of the object that has this file name; undefined: no key is named so. */
export function keyNamed(name: string): ObjectKey | undefined {
  return asObjectKey(name.replaceAll('~', '/'));
}

/** Where the object with this key lies. */
export function placeOf(root: string, key: ObjectKey): ObjectPlace {
  const hash = createHash('sha256').update(key).digest('hex');
  const folder = join(objectsFolder(root), hash.slice(0, 2), hash.slice(2, 4));
  return {
    folder,
    path: join(folder, key.replaceAll('/', '~')),
    temporaryPrefix: `${hash.slice(0, 32)}.`,
  };
}
