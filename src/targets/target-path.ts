/** Which paths images may go to, by their text alone; what the file system makes of them is `target-files.ts`. */
import { createHash } from 'node:crypto';
import { basename, isAbsolute, join, normalize } from 'node:path';
import type { TargetPlace } from '../application/ports/target-files.js';
import { ServiceError } from '../base/service-error.js';

/** What the name of a partial file begins and ends with. */
const PART_PREFIX = '.';
const PART_SUFFIX = '.oriel-part';
/** As long as that of a partial file, which it becomes. */
const LINK_SUFFIX = '.oriel-link';
/** As long as that, too. */
const LOCK_SUFFIX = '.oriel-lock';
/** Bytes of a name, as Linux limits it. */
const MOST_NAME_BYTES = 255;
const MOST_PATH_BYTES = 4096;
/** Where Nova keeps the base files of its instances (its option [image_cache] subdirectory_name). */
const NOVA_CACHE = '_base';

/** A path beneath a root. */
export interface TargetPath {
  readonly path: string;
  readonly root: string;
  /** The folders between the root and the file. */
  readonly folders: readonly string[];
  readonly name: string;
  readonly partName: string;
  /** Of a file that shares blocks, or is linked, until it replaces the partial file. */
  readonly linkName: string;
  /** Of the file that says who writes the partial one. */
  readonly lockName: string;
  /** Nova's cache: the last folder is made when it is missing, as Nova does. */
  readonly makesFolder: boolean;
}

/** Reads where a file goes. FORBIDDEN: not beneath a root. INVALID_ARGUMENT: not the path of a file. */
export function targetPathOf(place: TargetPlace, roots: readonly string[]): TargetPath {
  const path = place.kind === 'path' ? place.path : novaPath(place.instances, place.imageId);
  if (!isAbsolute(path) || path.includes('\0') || normalize(path) !== path || path.endsWith('/'))
    throw invalid(path, 'expected the absolute path of a file, without "..", "." and double slashes');
  if (Buffer.byteLength(path) > MOST_PATH_BYTES) throw invalid(path, `expected at most ${MOST_PATH_BYTES} bytes`);
  const name = basename(path);
  const partName = PART_PREFIX + name + PART_SUFFIX;
  if (Buffer.byteLength(partName) > MOST_NAME_BYTES)
    throw invalid(
      path,
      `expected a name of at most ${MOST_NAME_BYTES - PART_PREFIX.length - PART_SUFFIX.length} bytes`,
    );
  if ([PART_SUFFIX, LINK_SUFFIX, LOCK_SUFFIX].some((suffix) => name.endsWith(suffix)))
    throw invalid(
      path,
      `names that end in ${PART_SUFFIX}, ${LINK_SUFFIX} and ${LOCK_SUFFIX} are those of partial files`,
    );
  // The narrowest: of two roots, one beneath the other, the operator may have made the upper one a link.
  const beneath = roots.filter((root) => path.startsWith(`${root}/`)).sort((a, b) => b.length - a.length);
  const [root] = beneath;
  if (root === undefined) throw outside(path, roots);
  const folders = path
    .slice(root.length + 1)
    .split('/')
    .slice(0, -1);
  const linkName = PART_PREFIX + name + LINK_SUFFIX;
  return {
    path,
    root,
    folders,
    name,
    partName,
    linkName,
    lockName: PART_PREFIX + name + LOCK_SUFFIX,
    makesFolder: place.kind === 'nova' && folders.at(-1) === NOVA_CACHE,
  };
}

// Nova takes the SHA-1 of the id's text (nova/virt/libvirt/imagecache.py, get_cache_fname).
function novaPath(instances: string, imageId: string): string {
  const folder = basename(instances) === NOVA_CACHE ? instances : join(instances, NOVA_CACHE);
  return join(folder, createHash('sha1').update(imageId).digest('hex'));
}

function outside(path: string, roots: readonly string[]): ServiceError {
  const message =
    roots.length === 0
      ? 'This node puts images into no files: its operator has to name folders in [materialize] roots.'
      : `${JSON.stringify(path)} is beneath none of the folders that [materialize] roots of this node names.`;
  return new ServiceError('FORBIDDEN', message);
}

function invalid(path: string, expected: string): ServiceError {
  return new ServiceError('INVALID_ARGUMENT', `path ${JSON.stringify(path.slice(0, 300))}: ${expected}`);
}
