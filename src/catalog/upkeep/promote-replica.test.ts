import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { seededImage } from '../../../bench/seed-catalog.js';
import type { Effect } from '../../application/ports/catalog.js';
import type { NodeId, ObjectKey, StoreId } from '../../base/brand.js';
import type { ClusterNode } from '../../domain/cluster-node.js';
import { dataOf, type Image } from '../../domain/image.js';
import { openEmbeddedCatalog } from '../embedded-catalog.js';
import { openPrimaryCatalog } from '../primary/open-primary-catalog.js';
import { writeFence } from '../primary/fence-mark.js';
import { findCatalog } from './catalog-place.js';
import { candidateOf, promoteReplica } from './promote-replica.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'oriel-promote-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const OLD = '11111111-1111-4111-8111-111111111111' as NodeId;
const EDGE = '22222222-2222-4222-8222-222222222222' as NodeId;

function node(id: NodeId, role: ClusterNode['role']): Effect {
  const said = { site: 's', version: '1', httpUrl: '', grpcAddress: '', stores: [], publicKey: 'key', seenAtMs: 1 };
  return { kind: 'put-node', node: { id, role, ...said } };
}

function stored(n: number, nodeId: NodeId | null): Image {
  const place = { id: `l${n}`, nodeId, storeId: 's' as StoreId, key: `k${n}` as ObjectKey };
  const location = { ...place, metadata: new Map(), digest: 'verified' as const, created: true };
  const data = {
    sizeBytes: 1,
    virtualSizeBytes: null,
    checksum: null,
    osHashAlgo: null,
    osHashValue: null,
    fileMap: null,
  };
  return { ...seededImage(n), status: 'active', data: { ...data, locations: [location] } };
}

test('what was the old authority’s without a name is looked for there, and the rest stays as it is', async () => {
  const replica = join(directory, 'replica');
  mkdirSync(replica);
  const copy = await openEmbeddedCatalog({ path: join(replica, 'replica.3.db') });
  const garbage = { nodeId: null, storeId: 's' as StoreId, key: 'g' as ObjectKey };
  const effects: readonly Effect[] = [
    node(OLD, 'authority'),
    node(EDGE, 'edge'),
    { kind: 'insert-image', image: stored(1, null) },
    { kind: 'insert-image', image: stored(2, EDGE) },
    { kind: 'add-garbage', garbage },
  ];
  await copy.write(effects, { opId: 'all', subject: '' });
  await copy.close();
  expect(() => candidateOf(directory)).toThrow(/no copy/);
  writeFileSync(join(replica, 'replica.json'), JSON.stringify({ generation: 3, position: { epoch: 1, frame: 1 } }));

  const candidate = candidateOf(directory);
  expect(candidate.report).toMatchObject({ images: 2, position: { epoch: 1, frame: 1 } });
  const placed = promoteReplica(candidate, directory, Date.now());
  expect(placed.old).toBeUndefined();
  const primary = await openPrimaryCatalog({ dataDir: directory, sqldPort: 0 });
  const { catalog } = primary;
  expect(catalog.status().position.epoch).toBe(placed.epoch + 1);
  const nodes = await catalog.read((reader) =>
    [1, 2].map((n) => {
      const image = reader.image(stored(n, null).id);
      return image === undefined ? undefined : dataOf(image)?.locations.map(({ nodeId, key }) => [nodeId, key]);
    }),
  );
  expect(nodes).toEqual([[[OLD, 'k1']], [[EDGE, 'k2']]]);
  const place = { nodeId: OLD, unnamed: false, storeIds: ['s' as StoreId] };
  expect(await catalog.read((reader) => reader.garbage(place, 10))).toEqual([{ ...garbage, nodeId: OLD }]);
  await primary.close();

  // Promoting again would put the old copy in the place of all that was changed since.
  expect(() => promoteReplica(candidate, directory, Date.now())).toThrow(/start it/);
  expect(findCatalog(directory).kind).toBe('primary');
  // Once another has taken its place the folder is an edge's, and its copy counts.
  writeFence(join(directory, 'sqld'), { epoch: placed.epoch + 5_000_000, atMs: 1 });
  expect(findCatalog(directory)).toMatchObject({ kind: 'edge' });
  const again = promoteReplica(candidate, directory, 1);
  expect(again.epoch).toBeGreaterThan(placed.epoch + 5_000_000);
});
