import { describe, expect, it } from 'vitest';
import { failedWith } from '../../base/service-error.js';
import { Image, ImageLocation } from '../../gen/oriel/catalog/v1/image.js';
import { jsonLocation } from './image-json.js';
import { type LocationStep, resolveLocationSteps } from './location-patch.js';

const at = (id: string) => ImageLocation.create({ id, url: `s3://bucket/${id}`, metadata: new Map() });
const image = Image.create({ locations: [at('a'), at('b'), at('c')] });
const value = (url: string, more: object = {}) => ({ url, metadata: {}, ...more });

const add = (place: string, given: unknown): LocationStep => ({ operation: 'add', place, value: given });
const remove = (place: string): LocationStep => ({ operation: 'remove', place, value: undefined });
const replace = (given: unknown): LocationStep => ({ operation: 'replace', place: undefined, value: given });

function actions(steps: readonly LocationStep[], of = image): unknown[] {
  return resolveLocationSteps(steps, of).map(({ change }) =>
    change?.$case === 'location' ? [change.value.action?.$case, change.value.action?.value] : change,
  );
}

describe('places', () => {
  it('names what is removed by id, as the list is after the steps before', () => {
    expect(actions([remove('1'), remove('1')])).toEqual([
      ['remove', 'b'],
      ['remove', 'c'],
    ]);
    expect(actions([add('0', value('s3://x')), remove('1')])[1]).toEqual(['remove', 'a']);
    expect(actions([add('-', value('s3://x')), remove('3')])[1]).toEqual(['remove', '']);
  });

  it('has no id for what the caller does not see', () => {
    expect(actions([remove('3'), remove('-')])).toEqual([
      ['remove', ''],
      ['remove', ''],
    ]);
    expect(actions([replace([value('s3://bucket/other')])])).toEqual([
      ['replace', { locations: [{ id: '', metadata: new Map() }] }],
    ]);
  });

  it('replaces by URL, and adds to an image that has none', () => {
    const urls = ['c', 'a', 'b'].map((id) => value(`s3://bucket/${id}`, { metadata: { was: id } }));
    const locations = ['c', 'a', 'b'].map((id) => ({ id, metadata: new Map([['was', id]]) }));
    expect(actions([replace(urls)])).toEqual([['replace', { locations }]]);
    expect(actions([replace(urls)], Image.create({})).map((action) => (action as unknown[])[0])).toEqual([
      'add',
      'add',
      'add',
    ]);
  });
});

describe('the store in the metadata', () => {
  const metadata = (...entries: readonly [string, string][]) => new Map(entries);
  const stored = Image.create({
    locations: [
      ImageLocation.create({ id: 'a', store: 'fast', url: 's3://bucket/a', metadata: metadata(['k', 'v']) }),
      ImageLocation.create({ id: 'b', store: 'fast', url: 's3://bucket/b', metadata: metadata(['store', 'fast']) }),
    ],
  });

  it('is shown where there are several, and taken back as what it is', () => {
    const [a, b] = stored.locations.map((location) => jsonLocation(location, { multiStore: true }));
    expect(a).toEqual({ url: 's3://bucket/a', metadata: { k: 'v', store: 'fast' } });
    expect(jsonLocation(stored.locations[0] ?? expect.fail(), { multiStore: false })).toEqual({
      url: 's3://bucket/a',
      metadata: { k: 'v' },
    });
    const locations = stored.locations.map(({ id, metadata: kept }) => ({ id, metadata: kept }));
    expect(actions([replace([a, b])], stored)).toEqual([['replace', { locations }]]);
    const other = value('s3://bucket/a', { metadata: { store: 'slow' } });
    expect(actions([replace([other])], stored)).toEqual([
      ['replace', { locations: [{ id: 'a', metadata: metadata(['store', 'slow']) }] }],
    ]);
  });
});

describe('values', () => {
  it.each([
    ['no object', 7],
    ['no URL', { metadata: {} }],
    ['no metadata', { url: 's3://x' }],
    ['a long URL', value(`s3://${'x'.repeat(251)}`)],
    ['an unknown key', value('s3://x', { status: 'active' })],
    ['metadata that is no text', value('s3://x', { metadata: { a: 1 } })],
    ['validation_data without a digest', value('s3://x', { validation_data: { os_hash_algo: 'sha512' } })],
    [
      'an unknown key in validation_data',
      value('s3://x', { validation_data: { os_hash_algo: 'a', os_hash_value: 'b', c: '' } }),
    ],
  ])('refuses %s', (_what, given) => {
    let thrown: unknown;
    try {
      resolveLocationSteps([add('-', given)], image);
    } catch (error) {
      thrown = error;
    }
    expect(failedWith(thrown, 'INVALID_ARGUMENT')).toBe(true);
  });

  it('passes validation_data on', () => {
    const validation = { checksum: 'c', os_hash_algo: 'sha512', os_hash_value: 'd' };
    const expected = { checksum: 'c', osHashAlgo: 'sha512', osHashValue: 'd' };
    expect(actions([add('1', value('s3://x', { validation_data: validation }))])).toEqual([
      ['add', { url: 's3://x', metadata: new Map(), expected, index: 1 }],
    ]);
  });
});
