import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { primaryFolder } from '../primary/primary-folder.js';
import { singleFile } from './catalog-place.js';
import { checkFolderRole } from './folder-role.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'oriel-role-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const FILES = {
  single: () => singleFile(folder),
  primary: () => primaryFolder(folder).catalog,
  edge: () => join(folder, 'replica', 'replica.json'),
};
type Kind = keyof typeof FILES;

function outcome(role: Kind, options?: { readonly adopts: boolean }): string {
  try {
    checkFolderRole(folder, role, options);
    return 'starts';
  } catch (error) {
    expect(error).toMatchObject({ reason: 'STATE_CONFLICT' });
    return /oriel primary --adopt|oriel catalog promote|by "oriel primary"/.exec(String(error))?.[0] ?? String(error);
  }
}

test.each<[readonly Kind[], Record<Kind, string>]>([
  [[], { single: 'starts', primary: 'starts', edge: 'starts' }],
  [['single'], { single: 'starts', primary: 'oriel primary --adopt', edge: 'oriel primary --adopt' }],
  [['primary'], { single: 'by "oriel primary"', primary: 'starts', edge: 'starts' }],
  [['edge'], { single: 'oriel catalog promote', primary: 'oriel catalog promote', edge: 'starts' }],
  // Adopted; promoted, or replaced; and all of it.
  [['single', 'primary'], { single: 'by "oriel primary"', primary: 'starts', edge: 'starts' }],
  [['edge', 'primary'], { single: 'by "oriel primary"', primary: 'starts', edge: 'starts' }],
])('a folder with what %j have', (kinds, expected) => {
  for (const kind of kinds) {
    mkdirSync(dirname(FILES[kind]()), { recursive: true });
    writeFileSync(FILES[kind](), '');
  }
  const roles: readonly Kind[] = ['single', 'primary', 'edge'];
  expect(Object.fromEntries(roles.map((role) => [role, outcome(role)]))).toEqual(expected);
});

test('adopting takes the folder of a single node, and no edge’s', () => {
  writeFileSync(FILES.single(), '');
  expect(outcome('primary', { adopts: true })).toBe('starts');
  mkdirSync(dirname(FILES.edge()));
  writeFileSync(FILES.edge(), '');
  expect(outcome('primary', { adopts: true })).toBe('oriel catalog promote');
});
