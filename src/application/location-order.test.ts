import { describe, expect, it } from 'vitest';
import { asNodeId, asObjectKey, asStoreId, type ObjectKey } from '../base/brand.js';
import type { Location } from '../domain/location.js';
import { type LocationPlaces, readingOrder, sourceName, wayName } from './location-order.js';
import { SourceLatency } from './source-latency.js';

const place = (id: string, node: string, store: string): Location => ({
  ...{ id, nodeId: asNodeId(node), storeId: asStoreId(store), key: asObjectKey('x/u.data') as ObjectKey },
  ...{ metadata: new Map(), digest: 'verified', created: true },
});
const FAR = place('far', 'there', 'fast');
const NEAR = place('near', 'beside', 'slow');
const LIGHT = place('light', 'me', 'slow');
const HEAVY = place('heavy', 'me', 'fast');
const LOCATIONS = [FAR, NEAR, LIGHT, HEAVY];

const STORES = { get: () => undefined };

function order(options: Partial<LocationPlaces>, locations: readonly Location[] = LOCATIONS): readonly string[] {
  const places: LocationPlaces = {
    ...{ strategy: 'local-first', prefer: [], site: 'here' },
    sites: new Map([
      [asNodeId('there'), 'there'],
      [asNodeId('beside'), 'here'],
    ]),
    waysTo: ({ nodeId }) => (nodeId === 'me' ? ['store'] : ['node']),
    isOnDisk: ({ nodeId }) => nodeId === 'me',
    storeSite: () => undefined,
    weight: (storeId) => (storeId === 'fast' ? 2 : 1),
    failed: () => false,
    slowness: () => 0,
    ...options,
  };
  return readingOrder(locations, places).map(({ location, through }) =>
    through === 'node' ? `${location.id} by node` : location.id,
  );
}

describe('local-first', () => {
  it('takes what is near, then the heavier; what failed comes last', () => {
    expect(order({})).toEqual(['heavy', 'light', 'near by node', 'far by node']);
    const failed: LocationPlaces['failed'] = ({ location }) => location === HEAVY || location === NEAR;
    expect(order({ failed })).toEqual(['light', 'far by node', 'heavy', 'near by node']);
  });

  it('heeds what the reader prefers', () => {
    expect(order({ prefer: ['slow'] })).toEqual(['light', 'near by node', 'heavy', 'far by node']);
    const failed: LocationPlaces['failed'] = ({ location }) => location === HEAVY;
    const prefer = ['other', 'fast'];
    expect(order({ prefer, failed })).toEqual(['far by node', 'light', 'near by node', 'heavy']);
  });

  it('takes a shared store for near when it stands at this site, and for its node when all else is tried', () => {
    const waysTo: LocationPlaces['waysTo'] = ({ nodeId }) => (nodeId === 'me' ? ['store'] : ['store', 'node']);
    const two = [LIGHT, FAR];
    expect(order({ waysTo }, two)).toEqual(['light', 'far', 'far by node']);
    expect(order({ waysTo }, [NEAR, FAR])).toEqual(['far', 'near', 'near by node', 'far by node']);
    const storeSite: LocationPlaces['storeSite'] = (storeId) => (storeId === 'fast' ? 'there' : 'here');
    expect(order({ waysTo, storeSite }, two)).toEqual(['light', 'far', 'far by node']);
    const slowness: LocationPlaces['slowness'] = ({ location }) => (location === LIGHT ? 9 : 0);
    expect(order({ waysTo, slowness }, two)[0]).toBe('light');
  });
});

describe('the other strategies', () => {
  it('weighted takes the heavier store, then what is near', () => {
    expect(order({ strategy: 'weighted' })).toEqual(['heavy', 'far by node', 'light', 'near by node']);
  });

  it('order takes the order of the image, however slow', () => {
    const slowness: LocationPlaces['slowness'] = ({ location }) => (location === FAR ? 9 : 0);
    expect(order({ strategy: 'order', slowness })).toEqual(['far by node', 'near by node', 'light', 'heavy']);
    expect(order({ strategy: 'order', prefer: ['slow'] })[0]).toBe('near by node');
  });
});

describe('between equals', () => {
  const weight = (): number => 1;

  it.each(['local-first', 'weighted'] as const)('%s takes the one that was measured faster', (strategy) => {
    let nowMs = 0;
    const latency = new SourceLatency({ nowMs: () => nowMs });
    const slowness: LocationPlaces['slowness'] = (way) => latency.slowness(sourceName(way, STORES));
    const first = (): string | undefined => order({ strategy, weight, slowness }, [LIGHT, HEAVY])[0];
    expect(first()).toBe('light');
    latency.note('store slow', 100);
    expect(first()).toBe('heavy');
    latency.note('store fast', 110);
    expect(first()).toBe('light');
    latency.note('store slow', 2000);
    expect(first()).toBe('heavy');
    // What was not looked at for long is looked at again.
    nowMs = 300_001;
    expect(first()).toBe('light');
  });

  it('keeps apart the stores of several nodes, and the ways to one location', () => {
    const ways = [FAR, { ...FAR, nodeId: asNodeId('beside') }].map(
      (location) => ({ location, through: 'node' }) as const,
    );
    expect(ways.map((way) => sourceName(way, STORES))).toEqual(['node there fast', 'node beside fast']);
    expect(wayName({ location: FAR, through: 'store' })).not.toBe(wayName({ location: FAR, through: 'node' }));
  });
});

it('takes the servers of a store for as many sources', () => {
  const stores = { get: () => ({ sourceOf: (key: ObjectKey) => key.split('/')[1] }) };
  const [one = expect.fail(), two = expect.fail()] = ['https/a.test/x', 'https/b.test/x'].map((key) => ({
    location: { ...HEAVY, key: asObjectKey(key) as ObjectKey },
    through: 'store' as const,
  }));
  expect(sourceName(one, stores)).toBe('store fast a.test');
  expect(sourceName(two, stores)).toBe('store fast b.test');
  expect(sourceName(one, STORES)).toBe('store fast');
});
