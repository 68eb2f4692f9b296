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
 * node: the primary's is the newer one. NOT_FOUND: there is none.
 */
export function findCatalog(dataDir: string): CatalogPlace {
  const place = [primaryPlace(dataDir), singlePlace(dataDir), edgePlace(dataDir)].find(
    (found) => found !== undefined && existsSync(found.file),
  );
  if (place !== undefined) return place;
  throw new ServiceError(
    'NOT_FOUND',
    `${dataDir} holds no catalog: name the data folder of a node by --data, or its configuration by --config`,
  );
}

/** The copy of the catalog that an edge's data folder holds; undefined: none, or none that is whole. */
export function edgePlace(dataDir: string): CatalogPlace | undefined {
  const folder = join(dataDir, 'replica');
  const state = join(folder, 'replica.json');
  if (!existsSync(state)) return undefined;
  const value: unknown = JSON.parse(readFileSync(state, 'utf8'));
  const generation: unknown =
    typeof value === 'object' && value !== null ? Reflect.get(value, 'generation') : undefined;
  if (typeof generation !== 'number' || !Number.isSafeInteger(generation) || generation < 1) return undefined;
  return { kind: 'edge', file: join(folder, `replica.${generation}.db`) };
}

function primaryPlace(dataDir: string): CatalogPlace {
  return { kind: 'primary', file: primaryFolder(dataDir).catalog };
}

function singlePlace(dataDir: string): CatalogPlace {
  return { kind: 'single', file: singleFile(dataDir) };
}
