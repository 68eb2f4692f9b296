import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asImageId, asProjectId, type ImageId } from '../base/brand.js';
import type { Caller } from './caller.js';
import type { Image } from './image.js';
import { applyChanges, type ChangeContext, type ImageChange } from './image-change.js';
import { NO_PROTECTION } from './property-protection.js';

const caller: Caller = {
  kind: 'user',
  userId: 'u',
  projectId: asProjectId('a'),
  roles: new Set(['member']),
  serviceRoles: new Set(),
};
const limits = {
  ...{ pageSizeDefault: 25, pageSizeMax: 1000, imagePropertyQuota: 3, imageTagQuota: 2 },
  ...{ imageMemberQuota: 2, imageLocationQuota: 1, imageSizeCapBytes: 1 },
};
const context: ChangeContext = {
  caller,
  rules: { limits, diskFormats: ['raw', 'qcow2'], containerFormats: ['bare'] },
  protection: NO_PROTECTION,
  hashingAlgorithm: 'sha512',
  nowMs: 5,
};
const queued: Image = {
  ...{
    id: asImageId('11111111-1111-4111-8111-111111111111') as ImageId,
    version: 3,
    name: 'n',
    owner: asProjectId('a'),
  },
  ...{ visibility: 'shared', protected: false, osHidden: false, diskFormat: null, containerFormat: null },
  ...{ minDiskGib: 0, minRamMib: 0, createdAtMs: 1, updatedAtMs: 1, tags: [], properties: new Map([['k', 'v']]) },
  status: 'queued',
};
const apply = (changes: readonly ImageChange[], image: Image = queued, extra: Partial<ChangeContext> = {}): Image =>
  applyChanges(image, changes, { ...context, ...extra });

function reasonOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return (error as { reason?: string }).reason ?? error;
  }
  return undefined;
}

describe('applyChanges', () => {
  it('makes the next version and leaves the image it was given alone', () => {
    const after = apply([{ field: 'property', name: 'x', action: { kind: 'set', value: '1' } }]);
    expect([after.version, after.updatedAtMs, [...after.properties]]).toEqual([
      4,
      5,
      [
        ['k', 'v'],
        ['x', '1'],
      ],
    ]);
    expect([...queued.properties]).toEqual([['k', 'v']]);
  });

  it.each([
    ['create', 'k', 'STATE_CONFLICT'],
    ['create', 'x', undefined],
    ['replace', 'k', undefined],
    ['replace', 'x', 'STATE_CONFLICT'],
    ['set', 'os_glance_thing', 'FORBIDDEN'],
    ['set', 'stores', 'FORBIDDEN'],
    ['set', 'owner', 'FORBIDDEN'],
    ['set', '', 'INVALID_ARGUMENT'],
    ['set', 'a\nb', 'INVALID_ARGUMENT'],
    ['set', '\u{1F600}', 'INVALID_ARGUMENT'],
    ['set', 'kernel_id', 'INVALID_ARGUMENT'],
  ] as const)('answers %s of property %j with %s', (kind, name, reason) => {
    expect(reasonOf(() => apply([{ field: 'property', name, action: { kind, value: 'w' } }]))).toBe(reason);
  });

  it('refuses to remove a property that is not there', () => {
    expect(reasonOf(() => apply([{ field: 'property', name: 'x', action: { kind: 'remove' } }]))).toBe(
      'STATE_CONFLICT',
    );
  });

  it('counts properties after the last change', () => {
    const set = (name: string): ImageChange => ({ field: 'property', name, action: { kind: 'set', value: '' } });
    const remove: ImageChange = { field: 'property', name: 'k', action: { kind: 'remove' } };
    expect(reasonOf(() => apply([set('a'), set('b'), set('c')]))).toBe('LIMIT_EXCEEDED');
    expect(apply([set('a'), set('b'), set('c'), remove]).properties.size).toBe(3);
  });

  it('collapses and sorts tags before it counts them', () => {
    expect(apply([{ field: 'tags', value: ['b', 'a', 'b'] }]).tags).toEqual(['a', 'b']);
    expect(reasonOf(() => apply([{ field: 'tags', value: ['a', 'b', 'c'] }]))).toBe('LIMIT_EXCEEDED');
  });

  it('changes formats only while queued, even to the same value', () => {
    expect(apply([{ field: 'diskFormat', value: 'raw' }]).diskFormat).toBe('raw');
    const saving: Image = { ...queued, status: 'killed', diskFormat: 'raw' };
    expect(reasonOf(() => apply([{ field: 'diskFormat', value: 'raw' }], saving))).toBe('FORBIDDEN');
  });

  it('gives the owner and public visibility to administrators only', () => {
    const changes: readonly ImageChange[] = [
      { field: 'owner', value: asProjectId('b') },
      { field: 'visibility', value: 'public' },
    ];
    for (const change of changes) {
      expect(reasonOf(() => apply([change]))).toBe('FORBIDDEN');
      expect(apply([change], queued, { caller: { ...caller, roles: new Set(['admin']) } }).version).toBe(4);
    }
  });

  it('tells a hidden property from an absent one in no way', () => {
    const hidden = { allowsEverything: false, allows: (operation: string) => operation !== 'read' };
    for (const name of ['k', 'x'])
      expect(
        reasonOf(() =>
          apply([{ field: 'property', name, action: { kind: 'replace', value: '' } }], queued, { protection: hidden }),
        ),
      ).toBe('STATE_CONFLICT');
  });

  it('keeps every other property, whatever the changes are', () => {
    const name = fc.constantFrom('a', 'b', '__proto__', 'constructor');
    const change = fc.record({ name, value: fc.string({ maxLength: 3, unit: 'grapheme-ascii' }) });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 6 }), (changes) => {
        const wide = { ...limits, imagePropertyQuota: -1 };
        const after = apply(
          changes.map(({ name, value }) => ({ field: 'property', name, action: { kind: 'set', value } })),
          queued,
          { rules: { ...context.rules, limits: wide } },
        );
        expect(after.properties).toEqual(new Map([['k', 'v'], ...changes.map((c) => [c.name, c.value] as const)]));
      }),
    );
  });
});
