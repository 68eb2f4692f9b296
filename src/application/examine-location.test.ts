import { describe, expect, test } from 'vitest';
import { asNodeId, asObjectKey, asStoreId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { ImageData } from '../domain/image.js';
import type { Location } from '../domain/location.js';
import { examineLocation } from './examine-location.js';

const key = asObjectKey('mirror/disk.raw') ?? expect.fail();
const mapKey = asObjectKey('image/u.map') ?? expect.fail();

/** Examines an object of the right size that is read as `read` does. */
function examine(
  fields: Partial<Location>,
  map: object | null,
  read: () => AsyncGenerator<Uint8Array>,
  { hasMap = true, whole = true } = {},
) {
  const fileMap = { storeId: asStoreId('fast'), key: mapKey, sizeBytes: 1, sha256: '' };
  const location: Location = {
    ...{ id: 'l', nodeId: asNodeId('here'), storeId: asStoreId('web'), key, metadata: new Map() },
    ...{ digest: 'verified', created: false, ...fields },
  };
  const data: ImageData = {
    ...{ sizeBytes: 10, virtualSizeBytes: null, checksum: null, osHashAlgo: null, osHashValue: null },
    ...{ locations: [location], fileMap: hasMap ? fileMap : null },
  };
  const context = {
    stores: { get: () => ({ stat: () => Promise.resolve({ sizeBytes: 10 }), read }) },
    ...{ storeIdleMs: 1000, timer: { elapsedMs: () => 0, schedule: () => () => undefined } },
    ...{ maps: { of: () => Promise.resolve(map) }, unitDigest: () => new Uint8Array(32) },
  };
  const examination = { signal: new AbortController().signal, pace: () => Promise.resolve(), whole };
  return examineLocation(context as never, { data, location }, examination);
}

// eslint-disable-next-line @typescript-eslint/require-await -- it fails at once.
async function* replaced(): AsyncGenerator<Uint8Array> {
  throw new ServiceError('DATA_CORRUPT', 'replaced while it was read');
}

describe('a look at a location', () => {
  test('takes a mirror that replaces its object for one that does not answer', async () => {
    await expect(examine({}, {}, replaced)).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    expect(await examine({ created: true }, {}, replaced)).toBe('damaged');
  });

  test('does not say that wrong bytes are right while there is no map to see by', async () => {
    expect(await examine({ damage: 'damaged' }, null, replaced)).toBeUndefined();
    expect(await examine({ damage: 'missing' }, null, replaced)).toBe('whole');
    expect(await examine({}, null, replaced)).toBe('whole');
    // Refused content has no map at all (CVE-2024-32498).
    expect(await examine({ damage: 'damaged' }, null, replaced, { hasMap: false })).toBeUndefined();
    expect(await examine({ damage: 'damaged' }, {}, replaced, { whole: false })).toBeUndefined();
    expect(await examine({ damage: 'missing' }, null, replaced, { hasMap: false })).toBe('whole');
  });
});
