/**
 * The stock `openstack image` and `glance` commands against a node that trusts a real Keystone. The steps build on one
 * another, as a user's session does.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasKeystone, type KeystoneUser, startKeystone, type TestKeystone } from '../support/keystone.js';
import { startNode, type TestNode } from '../support/node.js';
import { tempFolder } from '../support/temp-folder.js';
import { hasTool } from '../support/tool.js';
import { type Outcome, runClient } from './command-line.js';

type User = 'admin' | 'demo' | 'alt_demo' | 'reader';

const USERS: readonly KeystoneUser[] = [
  { name: 'demo', password: 'demo', project: 'demo', roles: ['member', 'reader'] },
  { name: 'alt_demo', password: 'alt_demo', project: 'alt_demo', roles: ['member', 'reader'] },
  { name: 'reader', password: 'reader', project: 'demo', roles: ['reader'] },
  { name: 'image_svc', password: 'image_svc', project: 'service', roles: ['admin', 'service'] },
];
/** Keystone's own commands take seconds each, more where the machine is busy. */
const START_LIMIT_MS = 180_000;
const STEP_LIMIT_MS = 120_000;
const ADMIN_PROJECT = 'admin';

const available = hasKeystone() && hasTool('/usr/bin/openstack') && hasTool('/usr/bin/glance');

describe.skipIf(!available)('openstack and glance commands with Keystone', { timeout: STEP_LIMIT_MS }, () => {
  let keystone: TestKeystone;
  let node: TestNode;
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  const big = randomBytes(3_000_000);
  const small = randomBytes(500_000);
  const ids = { big: '', shared: '', published: '', glance: '' };
  const inFolder = (name: string): string => path.join(folder.path, name);

  beforeAll(async () => {
    folder = await tempFolder('clients');
    await writeFile(inFolder('big.raw'), big);
    await writeFile(inFolder('small.raw'), small);
    await writeFile(inFolder('password'), 'image_svc\n', { mode: 0o600 });
    keystone = await startKeystone(USERS);
    node = await startNode({
      args: ['--auth', 'keystone'],
      env: {
        ORIEL_AUTH_KEYSTONE_URL: keystone.url,
        ORIEL_AUTH_KEYSTONE_USERNAME: 'image_svc',
        ORIEL_AUTH_KEYSTONE_PASSWORD_FILE: inFolder('password'),
        ORIEL_AUTH_KEYSTONE_PROJECT: 'service',
      },
    });
    await keystone.setImageEndpoint(node.httpUrl);
  }, START_LIMIT_MS);

  afterAll(async () => {
    await node.stop();
    await keystone.stop();
    await folder.remove();
  });

  function run(program: 'openstack' | 'glance', user: User, args: readonly string[]): Promise<Outcome> {
    const account = USERS.find((candidate) => candidate.name === user);
    const project = account?.project ?? ADMIN_PROJECT;
    const login = { authUrl: keystone.url, name: user, password: user, project, home: folder.path };
    return runClient(login, program, args);
  }

  /** Runs a command that must succeed; returns what it printed. */
  async function ok(program: 'openstack' | 'glance', user: User, ...args: readonly string[]): Promise<string> {
    const outcome = await run(program, user, args);
    if (outcome.code !== 0) {
      throw new Error(
        `${program} ${args.join(' ')} ended with ${outcome.code}: ${outcome.stderr}\n${node.stderr().slice(-2000)}`,
      );
    }
    return outcome.stdout.trim();
  }

  const osc = (user: User, ...args: readonly string[]): Promise<string> => ok('openstack', user, 'image', ...args);
  const glance = (user: User, ...args: readonly string[]): Promise<string> => ok('glance', user, ...args);

  /** Runs a command that must be refused with this text. */
  async function refused(text: RegExp, program: 'openstack' | 'glance', user: User, ...args: readonly string[]) {
    const outcome = await run(program, user, args);
    expect(outcome.code, outcome.stdout).not.toBe(0);
    expect(outcome.stderr).toMatch(text);
  }

  const digest = (algorithm: string, bytes: Uint8Array): string => createHash(algorithm).update(bytes).digest('hex');
  const value = ['-f', 'value'] as const;
  const bare = ['--disk-format', 'raw', '--container-format', 'bare'] as const;

  describe('openstack image', () => {
    it('creates an image with its data, properties and tags', async () => {
      const file = ['--file', inFolder('big.raw'), '--property', 'color=red', '--tag', 'one', '--tag', 'two'];
      ids.big = await osc('demo', 'create', ...file, ...bare, '--min-disk', '1', ...value, '-c', 'id', 'big');
      expect(ids.big).toMatch(/^[0-9a-f-]{36}$/);
    });

    it('shows status, hashes and properties, by id and by name', async () => {
      const shown = await osc('demo', 'show', 'big', '-f', 'json');
      for (const text of [ids.big, 'active', digest('md5', big), digest('sha512', big), 'red', 'two']) {
        expect(shown).toContain(text);
      }
    });

    it('saves the bytes it was given', async () => {
      await osc('demo', 'save', '--file', inFolder('saved'), ids.big);
      expect(big.equals(await readFile(inFolder('saved')))).toBe(true);
    });

    it('refuses a public image to a member and allows it to an administrator', async () => {
      const file = ['--public', '--file', inFolder('small.raw'), ...bare];
      await refused(/403/, 'openstack', 'demo', 'image', 'create', '--public', ...bare, 'denied');
      ids.published = await osc('admin', 'create', ...file, ...value, '-c', 'id', 'published');
      ids.shared = await osc(
        'demo',
        'create',
        '--private',
        '--file',
        inFolder('small.raw'),
        ...bare,
        ...value,
        '-c',
        'id',
        'own',
      );
    });

    it('lists by name, tag, property and visibility', async () => {
      const expected: readonly (readonly [string, readonly string[]])[] = [
        [ids.big, ['--name', 'big']],
        [ids.big, ['--tag', 'one']],
        [ids.big, ['--property', 'color=red']],
        [ids.published, ['--public', '--long']],
        [ids.shared, ['--private']],
      ];
      const lists = expected.map(([, filter]) => osc('demo', 'list', ...filter, ...value, '-c', 'ID'));
      expect(await Promise.all(lists)).toEqual(expected.map(([id]) => id));
    });

    it('sorts and pages', async () => {
      const names = (await osc('demo', 'list', '--sort', 'name:asc', ...value, '-c', 'Name')).split('\n');
      expect(names).toEqual(['big', 'own', 'published']);
      // The command sorts what it got by itself; the pages are the server's, newest first.
      const page = ['--limit', '1', '--marker', ids.shared, ...value, '-c', 'Name'];
      expect(await osc('demo', 'list', ...page)).toBe('published');
    });

    it("does not show another project's image", async () => {
      expect(await osc('alt_demo', 'list', ...value, '-c', 'ID')).toBe(ids.published);
      await refused(/No Image found|404|not found/i, 'openstack', 'alt_demo', 'image', 'show', ids.shared);
    });

    it('sets and unsets properties, tags and fields', async () => {
      const set = [
        '--property',
        'size_class=xl',
        '--name',
        'big2',
        '--min-ram',
        '64',
        '--os-distro',
        'debian',
        '--tag',
        'three',
      ];
      await osc('demo', 'set', ...set, ids.big);
      await osc('demo', 'unset', '--property', 'size_class', '--tag', 'two', ids.big);
      const shown = await osc('demo', 'show', ids.big, '-f', 'json');
      expect(shown).toMatch(/"name": "big2"/);
      expect(shown).toContain('debian');
      expect(shown).toContain('three');
      expect(shown).not.toMatch(/size_class|"two"/);
    });

    it('refuses to delete a protected image', async () => {
      await osc('demo', 'set', '--protected', ids.big);
      await refused(/403|protected/i, 'openstack', 'demo', 'image', 'delete', ids.big);
      await osc('demo', 'set', '--unprotected', ids.big);
    });

    it('leaves a hidden image out of lists', async () => {
      await osc('demo', 'set', '--hidden', ids.big);
      const lists = [[], ['--hidden']].map((flag) => osc('demo', 'list', ...flag, ...value, '-c', 'ID'));
      const [shown, hidden] = await Promise.all(lists);
      expect(shown).not.toContain(ids.big);
      expect(hidden).toBe(ids.big);
      await osc('demo', 'set', '--unhidden', ids.big);
    });

    it('shares an image with a project that accepts it', async () => {
      await osc('demo', 'set', '--shared', ids.shared);
      const project = keystone.projects.get('alt_demo') ?? '';
      await osc('demo', 'add', 'project', ids.shared, project);
      expect(await osc('demo', 'member', 'list', ids.shared, ...value)).toContain('pending');
      await osc('alt_demo', 'set', '--accept', ids.shared);
      expect(await osc('alt_demo', 'list', ...value, '-c', 'ID')).toContain(ids.shared);
      await osc('alt_demo', 'save', '--file', inFolder('shared'), ids.shared);
      expect(small.equals(await readFile(inFolder('shared')))).toBe(true);
      await osc('demo', 'remove', 'project', ids.shared, project);
      await refused(/No Image found|404|not found/i, 'openstack', 'alt_demo', 'image', 'show', ids.shared);
    });

    it('blocks the data of a deactivated image', async () => {
      await osc('admin', 'set', '--deactivate', ids.big);
      await refused(
        /403|InvalidResponse/,
        'openstack',
        'demo',
        'image',
        'save',
        '--file',
        inFolder('blocked'),
        ids.big,
      );
      await osc('admin', 'set', '--activate', ids.big);
    });

    it('refuses changes to a reader', async () => {
      await refused(/403/, 'openstack', 'reader', 'image', 'set', '--name', 'nope', ids.big);
    });
  });

  describe('glance', () => {
    const idOf = (table: string): string => /^\| id\s+\| ([0-9a-f-]+)/m.exec(table)?.[1] ?? '';

    it('creates an image with its data', async () => {
      const file = ['--file', inFolder('big.raw'), '--property', 'flavour=vanilla', '--tags', 'g1', 'g2'];
      ids.glance = idOf(await glance('demo', 'image-create', '--name', 'g', ...bare, ...file));
      const shown = await glance('demo', 'image-show', ids.glance);
      expect(shown).toContain(digest('md5', big));
      expect(shown).toContain('active');
    });

    it('lists by property, tag, checksum and hash', async () => {
      const filters = [
        ['--property-filter', 'flavour=vanilla'],
        ['--tag', 'g1'],
        ['--sort-key', 'created_at', '--sort-dir', 'desc', '--page-size', '2'],
        ['--checksum', digest('md5', big)],
        ['--hash', digest('sha512', big)],
      ];
      for (const list of await Promise.all(filters.map((filter) => glance('demo', 'image-list', ...filter)))) {
        expect(list).toContain(ids.glance);
      }
    });

    it('updates fields, properties and tags', async () => {
      await glance('demo', 'image-update', '--name', 'g2', '--property', 'extra=1', '--min-ram', '32', ids.glance);
      await glance('demo', 'image-tag-update', ids.glance, 'g3');
      await glance('demo', 'image-tag-delete', ids.glance, 'g1');
      const updated = await glance('demo', 'image-update', '--remove-property', 'extra', ids.glance);
      expect(updated).not.toMatch(/\| extra /);
      expect(updated).toMatch(/\| name\s+\| g2/);
      expect(updated).toContain('g3');
    });

    it('downloads and verifies', async () => {
      await glance('demo', 'image-download', '--file', inFolder('glance'), ids.glance);
      expect(big.equals(await readFile(inFolder('glance')))).toBe(true);
    });

    it('uploads into a queued image once', async () => {
      const queued = idOf(await glance('demo', 'image-create', '--name', 'later', ...bare));
      await glance('demo', 'image-upload', '--file', inFolder('small.raw'), queued);
      await refused(/409/, 'glance', 'demo', 'image-upload', '--file', inFolder('small.raw'), queued);
      await glance('demo', 'image-delete', queued);
    });

    it('shares, accepts and rejects', async () => {
      const project = keystone.projects.get('alt_demo') ?? '';
      await glance('demo', 'member-create', ids.glance, project);
      expect(await glance('demo', 'member-list', '--image-id', ids.glance)).toContain('pending');
      await glance('alt_demo', 'member-update', ids.glance, project, 'accepted');
      const shared = ['--visibility', 'shared', '--member-status', 'accepted'];
      expect(await glance('alt_demo', 'image-list', ...shared)).toContain(ids.glance);
      await glance('demo', 'member-delete', ids.glance, project);
    });

    it('explains the schema and tells of imports and stores', async () => {
      expect(await glance('demo', 'explain', 'image')).toContain('container_format');
      await glance('demo', 'import-info');
      // With one store there is nothing to choose from, and the call is absent (Images API v2, "Stores").
      await refused(/Multi Backend support is not enabled/, 'glance', 'demo', 'stores-info');
    });

    it('deletes; the image is gone', async () => {
      await glance('demo', 'image-delete', ids.glance, ids.big, ids.shared);
      await refused(/404|No image found/i, 'glance', 'demo', 'image-show', ids.glance);
    });
  });
});
