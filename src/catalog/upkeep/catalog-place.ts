/**
 * Where the catalog of a data folder lies, for the commands that work on files: backup, restore, verify, migrate, promote.
 *
 *   catalog.db             a single node's
 *   sqld/dbs/default/data  a primary's
 *   replica/replica.<n>.db an edge's copy
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ServiceError } from '../../base/service-error.js';
import { readFence } from '../primary/fence-mark.js';
import { primaryFolder } from '../primary/primary-folder.js';

export const PLACE_KINDS = ['single', 'primary', 'edge'] as const;

export interface CatalogPlace {
  readonly kind: (typeof PLACE_KINDS)[number];
  /** The catalog's file. */
  readonly file: string;
}

/** Where a single node has its catalog. */
export function singleFile(dataDir: string): string {
  return join(dataDir, 'catalog.db');
}

/**
 * Finds the catalog of a data folder. A folder that was taken into a cluster (`--adopt`) still has the file of the single
 * node: the primary's is the newer one; unless another authority took its place, and the folder is an edge's by now.
 * NOT_FOUND: there is none.
 */
export function findCatalog(dataDir: string): CatalogPlace {
  const replaced = readFence(primaryFolder(dataDir).sqld) !== undefined && edgePlace(dataDir) !== undefined;
  const own = replaced ? [] : [primaryPlace(dataDir), singlePlace(dataDir)];
  const place = [...own, edgePlace(dataDir)].find((found) => found !== undefined && existsSync(found.file));
  if (place !== undefined) return place;
  throw new ServiceError(
    'NOT_FOUND',
    `${dataDir} holds no catalog: name the data folder of a node by --data, or its configuration by --config`,
  );
}

/** The copy of the catalog that an edge's data folder holds; undefined: none, or none that is whole. */
export function edgePlace(dataDir: string): CatalogPlace | undefined {
  const generation = wholeNumber(replicaState(dataDir), 'generation');
  return generation < 1 ? undefined : { kind: 'edge', file: join(dataDir, 'replica', `replica.${generation}.db`) };
}

/** The latest epoch that the copies of an edge's data folder have had; 0: not known. */
export function seenEpochIn(dataDir: string): number {
  const state = replicaState(dataDir);
  return wholeNumber(typeof state === 'object' && state !== null ? Reflect.get(state, 'position') : undefined, 'epoch');
}

function replicaState(dataDir: string): unknown {
  const state = join(dataDir, 'replica', 'replica.json');
  return existsSync(state) ? JSON.parse(readFileSync(state, 'utf8')) : undefined;
}

function wholeNumber(record: unknown, name: string): number {
  const value: unknown = typeof record === 'object' && record !== null ? Reflect.get(record, name) : undefined;
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : 0;
}

function primaryPlace(dataDir: string): CatalogPlace {
  return { kind: 'primary', file: primaryFolder(dataDir).catalog };
}

function singlePlace(dataDir: string): CatalogPlace {
  return { kind: 'single', file: singleFile(dataDir) };
}
