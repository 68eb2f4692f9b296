import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Reason } from '../../base/error-table.js';
import { ServiceError } from '../../base/service-error.js';
import { ImageVisibility } from '../../gen/oriel/catalog/v1/image.js';
import { parsePatch, type PatchDraft, patchDraft } from './image-patch.js';

function changesOf(body: unknown, draft: PatchDraft = 'draft10'): unknown[] {
  return parsePatch(body, draft).changes.map((step) => ('operation' in step ? step : step.change));
}

function reasonOf(run: () => unknown): Reason | 'none' {
  try {
    run();
    return 'none';
  } catch (error) {
    if (error instanceof ServiceError) return error.reason;
    throw error;
  }
}

const add = (path: unknown, value: unknown): unknown => ({ op: 'add', path, value });

describe('media types', () => {
  it.each([
    ['application/openstack-images-v2.1-json-patch', 'draft10'],
    ['application/openstack-images-v2.0-json-patch', 'draft4'],
    ['Application/OpenStack-images-v2.1-json-patch; charset=utf-8', 'draft10'],
  ])('takes %s', (type, draft) => {
    expect(patchDraft(type)).toBe(draft);
  });

  it.each([
    undefined,
    '',
    'application/json',
    'application/json-patch+json',
    'application/openstack-images-v2.2-json-patch',
  ])('refuses %s with Accept-Patch', (type) => {
    try {
      patchDraft(type);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({
        reason: 'UNSUPPORTED_MEDIA',
        details: {
          accept_patch: 'application/openstack-images-v2.0-json-patch, application/openstack-images-v2.1-json-patch',
        },
      });
    }
  });
});

describe('draft 10', () => {
  it('turns every base attribute into its change', () => {
    const changes = changesOf([
      add('/name', 'n'),
      { op: 'replace', path: '/name', value: null },
      add('/disk_format', 'raw'),
      add('/container_format', null),
      add('/owner', 'p'),
      add('/owner', null),
      add('/visibility', 'community'),
      add('/protected', true),
      add('/os_hidden', false),
      add('/min_disk', 1.0),
      add('/min_ram', 2_147_483_647),
      add('/tags', ['a', 'b', 'a']),
    ]);
    expect(changes).toEqual([
      { $case: 'name', value: { value: 'n' } },
      { $case: 'name', value: { value: undefined } },
      { $case: 'diskFormat', value: { value: 'raw' } },
      { $case: 'containerFormat', value: { value: undefined } },
      { $case: 'owner', value: { projectId: 'p' } },
      { $case: 'owner', value: { projectId: undefined } },
      { $case: 'visibility', value: ImageVisibility.COMMUNITY },
      { $case: 'protected', value: true },
      { $case: 'osHidden', value: false },
      { $case: 'minDisk', value: 1 },
      { $case: 'minRam', value: 2_147_483_647 },
      { $case: 'tags', value: { tags: ['a', 'b'] } },
    ]);
  });

  it('sets, replaces and removes custom properties', () => {
    expect(
      changesOf([add('/x', ''), { op: 'replace', path: '/a~1b~0c', value: 'v' }, { op: 'remove', path: '/x' }]),
    ).toEqual([
      { $case: 'property', value: { name: 'x', action: { $case: 'set', value: '' } } },
      { $case: 'property', value: { name: 'a/b~c', action: { $case: 'replace', value: 'v' } } },
      { $case: 'property', value: { name: 'x', action: { $case: 'remove', value: {} } } },
    ]);
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])('takes %s as a custom property', (name) => {
    expect(changesOf([add(`/${name}`, 'v')])).toEqual([
      { $case: 'property', value: { name, action: { $case: 'set', value: 'v' } } },
    ]);
  });

  it('treats names of internal columns as custom properties (D2)', () => {
    expect(changesOf([{ op: 'replace', path: '/image_id', value: 'x' }])).toEqual([
      { $case: 'property', value: { name: 'image_id', action: { $case: 'replace', value: 'x' } } },
    ]);
  });

  it('accepts an empty list', () => {
    expect(changesOf([])).toEqual([]);
  });

  it.each([
    ['a body that is no list', {}],
    ['null', null],
    ['a text', 'x'],
    ['an item that is no object', ['x']],
    ['an item that is a list', [[]]],
    ['no op', [{ path: '/x', value: 'v' }]],
    ['an unknown op', [{ op: 'move', path: '/x', value: 'v' }]],
    ['an upper-case op', [{ op: 'ADD', path: '/x', value: 'v' }]],
    ['no path', [{ op: 'add', value: 'v' }]],
    ['a path that is no text', [add(7, 'v')]],
    ['no value', [{ op: 'add', path: '/x' }]],
    ['draft 4 operations', [{ add: '/x', value: 'v' }]],
    ['a path without slash', [add('x', 'v')]],
    ['an empty path', [add('', 'v')]],
    ['a lone slash', [add('/', 'v')]],
    ['a trailing slash', [add('/x/', 'v')]],
    ['two slashes', [add('//x', 'v')]],
    ['two slashes inside', [add('/x//y', 'v')]],
    ['a stray tilde', [add('/x~', 'v')]],
    ['a wrong escape', [add('/x~2', 'v')]],
    ['blanks around', [add(' /x', 'v')]],
    ['blanks around the name', [add('/ x', 'v')]],
    ['two segments', [add('/x/y', 'v')]],
    ['an element of tags', [add('/tags/-', 'v')]],
    ['the first of tags', [add('/tags/0', 'v')]],
    ['tags that are no list', [add('/tags', 'v')]],
    ['tags that are no texts', [add('/tags', [7])]],
    ['a tag that is too long', [add('/tags', ['x'.repeat(256)])]],
    ['a number as property', [add('/x', 7)]],
    ['null as property', [add('/x', null)]],
    ['a list as property', [add('/x', [])]],
    ['a name that is too long', [add('/name', 'x'.repeat(256))]],
    ['a property name that is too long', [add(`/${'x'.repeat(256)}`, 'v')]],
    ['a fraction', [add('/min_ram', 1.5)]],
    ['a negative number', [add('/min_disk', -1)]],
    ['a number that is too large', [add('/min_disk', 2_147_483_648)]],
    ['a number as text', [add('/min_ram', '1')]],
    ['a flag as text', [add('/protected', 'true')]],
    ['a visibility of no kind', [add('/visibility', 'secret')]],
    ['a four-byte character in a value', [add('/x', '🙂')]],
    ['a four-byte character in a name', [add('/🙂', 'v')]],
    ['a line end in a value', [add('/x', 'a\r\nb')]],
    ['NUL in the name', [add('/name', 'a\0')]],
    ['a line end in a tag', [add('/tags', ['a\nb'])]],
    ['a lone surrogate', [add('/x', '\ud800')]],
    ['a location path for add', [add('/locations', [])]],
    ['a location path for replace', [{ op: 'replace', path: '/locations/0', value: {} }]],
    ['a kernel that is no UUID', [add('/kernel_id', 'x')]],
  ])('refuses %s', (_what, body) => {
    expect(reasonOf(() => parsePatch(body, 'draft10'))).toBe('INVALID_ARGUMENT');
  });

  it.each([
    ...[
      'id',
      'status',
      'size',
      'virtual_size',
      'checksum',
      'os_hash_algo',
      'os_hash_value',
      'created_at',
      'updated_at',
    ],
    ...[
      'direct_url',
      'self',
      'file',
      'schema',
      'stores',
      'location',
      'deleted',
      'deleted_at',
      'os_glance_x',
      'os_glancex',
    ],
  ])('forbids every operation on %s', (name) => {
    for (const op of ['add', 'replace', 'remove']) {
      expect(reasonOf(() => parsePatch([{ op, path: `/${name}`, value: 'v' }], 'draft10'))).toBe('FORBIDDEN');
    }
  });

  it.each(['name', 'tags', 'visibility', 'owner', 'protected', 'disk_format'])('forbids to remove %s', (name) => {
    expect(reasonOf(() => parsePatch([{ op: 'remove', path: `/${name}` }], 'draft10'))).toBe('FORBIDDEN');
  });

  it('leaves changes of locations for later, in their place', () => {
    const body = [add('/x', 'v'), add('/locations/-', 7), { op: 'replace', path: '/locations', value: [] }];
    expect(changesOf(body).slice(1)).toEqual([
      { operation: 'add', place: '-', value: 7 },
      { operation: 'replace', place: undefined, value: [] },
    ]);
  });
});

describe('draft 4', () => {
  it('creates, replaces and removes custom properties', () => {
    const body = [{ add: '/x', value: 'v' }, { replace: '/x', value: 'w' }, { remove: '/x' }];
    expect(changesOf(body, 'draft4')).toEqual([
      { $case: 'property', value: { name: 'x', action: { $case: 'create', value: 'v' } } },
      { $case: 'property', value: { name: 'x', action: { $case: 'replace', value: 'w' } } },
      { $case: 'property', value: { name: 'x', action: { $case: 'remove', value: {} } } },
    ]);
  });

  it('says that a base attribute is there already', () => {
    expect(parsePatch([{ add: '/name', value: 'v' }], 'draft4').conflict).toMatchObject({ reason: 'STATE_CONFLICT' });
    expect(parsePatch([{ replace: '/name', value: 'v' }], 'draft4').conflict).toBeNull();
  });

  it.each([
    ['two operations in one object', [{ add: '/x', replace: '/x', value: 'v' }]],
    ['draft 10 operations', [{ op: 'add', path: '/x', value: 'v' }]],
    ['no operation', [{ value: 'v' }]],
  ])('refuses %s', (_what, body) => {
    expect(reasonOf(() => parsePatch(body, 'draft4'))).toBe('INVALID_ARGUMENT');
  });
});

describe('any body', () => {
  it('gives changes or a ServiceError, never a bug', () => {
    const operation = fc.record(
      {
        op: fc.oneof(fc.constantFrom('add', 'remove', 'replace'), fc.anything()),
        path: fc.oneof(
          fc.constantFrom('/name', '/tags', '/x', '/locations/-', '/__proto__'),
          fc.string(),
          fc.anything(),
        ),
        value: fc.anything(),
        add: fc.anything(),
      },
      { requiredKeys: [] },
    );
    const body = fc.oneof(fc.array(operation), fc.anything());
    fc.assert(
      fc.property(body, fc.constantFrom<PatchDraft>('draft10', 'draft4'), (patch, draft) => {
        reasonOf(() => parsePatch(patch, draft));
      }),
    );
  });
});
