import { expect, it } from 'vitest';
import { asNodeId, asObjectKey, asStoreId } from '../base/brand.js';
import { firstGood, type ReadLocation, withReadLocations } from './digested-data.js';
import type { ImageData } from './image.js';
import type { Location } from './location.js';

const at = (id: string): Location => ({
  ...{ id, nodeId: asNodeId('n'), storeId: asStoreId('web'), key: asObjectKey(`${id}.raw`) ?? expect.fail() },
  ...{ metadata: new Map(), digest: 'unverified', created: false },
});
const data: ImageData = {
  ...{ sizeBytes: 7, virtualSizeBytes: null, checksum: null, osHashAlgo: null, osHashValue: null, fileMap: null },
  locations: [at('a'), at('b'), at('c')],
};
const read = (id: string, digest: string, isWrong = false): ReadLocation => ({
  ...{ location: at(id), checksum: `md5 ${digest}`, osHashAlgo: 'sha512', osHashValue: `sha512 ${digest}`, isWrong },
});
const fileMap = {
  ...{ storeId: asStoreId('file'), key: asObjectKey('x.map') ?? expect.fail(), sizeBytes: 1, sha256: 'f' },
};
const states = ({ locations }: ImageData): readonly string[] =>
  locations.map(({ id, digest, damage }) => `${id} ${damage ?? digest}`);

it('takes the first good location for the data, and others that differ from it are damaged', () => {
  const reads = [read('a', '1', true), read('b', '2'), read('c', '3')];
  const first = firstGood(data, reads) ?? expect.fail();
  const judged = withReadLocations(data, reads, { of: first, fileMap });
  expect(states(judged.data)).toEqual(['a damaged', 'b verified', 'c damaged']);
  expect(judged.data).toMatchObject({ checksum: 'md5 2', osHashAlgo: 'sha512', osHashValue: 'sha512 2', fileMap });
  expect(judged.damaged.map(({ id }) => id)).toEqual(['a', 'c']);
});

it('measures all by what the image is known to have', () => {
  const known = { ...data, checksum: 'md5 3', osHashAlgo: 'sha512', osHashValue: 'sha512 3' };
  const reads = [read('a', '1'), read('c', '3')];
  const { data: after } = withReadLocations(known, reads, { of: reads[0] ?? expect.fail(), fileMap });
  expect(states(after)).toEqual(['a damaged', 'b unverified', 'c verified']);
  expect([after.osHashValue, after.fileMap]).toEqual(['sha512 3', null]);
});

it('leaves alone what was taken out or found damaged meanwhile', () => {
  const now: ImageData = { ...data, locations: [{ ...at('b'), damage: 'missing' }] };
  const reads = [read('a', '1'), read('b', '1')];
  const judged = withReadLocations(now, reads, { of: reads[0] ?? expect.fail(), fileMap });
  expect(judged).toEqual({ data: now, damaged: [] });
});
