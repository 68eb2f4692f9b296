/**
 * What the cache keeps of an image, each in a folder named by the id of the image:
 *
 *   <root>/<image id>/facts.json   the facts below; replaced as a whole
 *   <root>/<image id>/map          the map of the file (blocks/file-map.ts)
 *   <root>/<image id>/units        a byte a unit: 0 not there, 1 in `data`, 2 all zero
 *   <root>/<image id>/data         the units at their places in the file; a sparse file
 *   <root>/gone.<random>           a folder that is being removed
 *
 * Nothing is flushed but facts that say pinned or queued. The byte of a unit is written before the unit, so that after a crash it may say too much,
 * never too little: what it says counts only when the unit is what the map tells, and it is compared at each read.
 */
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { asImageId } from '../../base/brand.js';
import type { CachedIdentity } from '../../application/ports/image-cache.js';

const VERSION = 1;
const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

const Facts = Type.Object({
  version: Type.Literal(VERSION),
  image_id: Type.String(),
  map_sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  size: Type.Integer({ minimum: 0, maximum: 2 ** 50 }),
  hits: count,
  last_accessed_ms: count,
  last_modified_ms: count,
  pinned: Type.Boolean(),
  queued: Type.Boolean(),
});

/** What changes of an entry beside its units. */
export interface EntryUse {
  hits: number;
  lastAccessedMs: number;
  lastModifiedMs: number;
  pinned: boolean;
  queued: boolean;
}

export interface EntryFacts {
  readonly identity: CachedIdentity;
  readonly use: EntryUse;
}

export function encodeFacts({ identity, use }: EntryFacts): string {
  const facts: Static<typeof Facts> = {
    version: VERSION,
    image_id: identity.imageId,
    map_sha256: identity.mapSha256,
    size: identity.sizeBytes,
    hits: use.hits,
    last_accessed_ms: use.lastAccessedMs,
    last_modified_ms: use.lastModifiedMs,
    pinned: use.pinned,
    queued: use.queued,
  };
  return `${JSON.stringify(facts)}\n`;
}

/** undefined: a text that `encodeFacts` did not write, as after a loss of power. */
export function decodeFacts(text: string): EntryFacts | undefined {
  const facts = parsed(text);
  if (!Value.Check(Facts, facts)) return undefined;
  const imageId = asImageId(facts.image_id);
  if (imageId === undefined) return undefined;
  return {
    identity: { imageId, mapSha256: facts.map_sha256, sizeBytes: facts.size },
    use: {
      hits: facts.hits,
      lastAccessedMs: facts.last_accessed_ms,
      lastModifiedMs: facts.last_modified_ms,
      pinned: facts.pinned,
      queued: facts.queued,
    },
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
