import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { targetPathOf } from './target-path.js';

const ROOTS = ['/srv/images', '/var/lib/nova/instances', '/srv/images/narrow'];
const pathOf = (path: string) => targetPathOf({ kind: 'path', path }, ROOTS);

it('splits a path beneath the narrowest root', () => {
  expect(pathOf('/srv/images/narrow/a/b')).toMatchObject({
    ...{ root: '/srv/images/narrow', folders: ['a'], name: 'b', makesFolder: false },
    ...{ partName: '.b.oriel-part', linkName: '.b.oriel-link' },
  });
  expect(pathOf('/srv/images/b').folders).toEqual([]);
});

it.each(['/srv/images', '/srv/imagesX/a', '/srv', '/a', '/srv/other/images/a'])('%s is beneath none', (path) => {
  expect(() => pathOf(path)).toThrow(expect.objectContaining({ reason: 'FORBIDDEN' }));
});

it.each([
  '',
  'a',
  './a',
  '/srv/images/',
  '/srv/images/..',
  '/srv/images/../a',
  '/srv/images//a',
  '/srv/images/./a',
  '/srv/images/a\0',
])('%j is no path of a file', (path) => {
  expect(() => pathOf(path)).toThrow(expect.objectContaining({ reason: 'INVALID_ARGUMENT' }));
});

it("names Nova's base files as Nova does, in its folder or beneath it", () => {
  const imageId = '7f2d3d2e-8a5b-4b1a-9d3c-2b6f0a1c4e5d';
  const name = createHash('sha1').update(imageId, 'utf8').digest('hex');
  for (const instances of ['/var/lib/nova/instances', '/var/lib/nova/instances/_base']) {
    const found = targetPathOf({ kind: 'nova', instances, imageId }, ROOTS);
    expect(found).toMatchObject({ path: `/var/lib/nova/instances/_base/${name}`, makesFolder: true });
  }
});
