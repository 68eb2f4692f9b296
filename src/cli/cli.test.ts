import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildCli } from './build-cli.js';
import type { CliDeps, TokenRequest } from './deps.js';
import { runCli } from './run-cli.js';
import { type FakeNode, startFakeNode } from '../../test/support/fake-node.js';

let folder: string;
let node: FakeNode;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'oriel-cli-'));
  node = await startFakeNode(join(folder, 'socket'));
});
afterAll(async () => {
  await node.stop();
  rmSync(folder, { recursive: true, force: true });
});

class Sink extends Writable {
  readonly chunks: Buffer[] = [];

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.chunks.push(Buffer.from(chunk));
    done();
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }
}

interface Run {
  readonly code: number;
  readonly stdout: Sink;
  readonly stderr: Sink;
}

interface Given {
  readonly env?: Record<string, string>;
  readonly stdin?: Readable;
  readonly tty?: boolean;
  readonly signal?: AbortSignal;
}

async function oriel(args: readonly string[], given: Given = {}): Promise<Run> {
  const stdout = new Sink();
  const stderr = Object.assign(new Sink(), { isTTY: given.tty ?? false });
  const deps: CliDeps = {
    version: '9.9.9',
    env: { ORIEL_NODE: `unix:${join(folder, 'socket')}`, ...given.env },
    stdin: given.stdin ?? Readable.from([]),
    stdout,
    stderr,
    protoDir: fileURLToPath(new URL('../../../proto', import.meta.url)),
    signal: given.signal ?? new AbortController().signal,
    tokens: {
      create: async (_place, request: TokenRequest) =>
        Promise.resolve({
          token: 'oriel_new',
          record: { id: '01234567', ...request, created_at: 'now', expires_at: request.expiresAfter },
        }),
      list: async () => Promise.resolve([]),
      revoke: async () => Promise.resolve(),
    },
    catalog: async () => Promise.reject(new Error('no data folder here')),
    printConfig: ({ file }) => ({ text: `# ${file ?? 'none'}\n`, settings: [] }),
  };
  const code = await runCli(buildCli(deps), args, deps);
  return { code, stdout, stderr };
}

function json(run: Run): Record<string, unknown> {
  return JSON.parse(run.stdout.text) as Record<string, unknown>;
}

async function create(...args: string[]): Promise<string> {
  const run = await oriel(['image', 'create', ...args, '--json']);
  expect(run.stderr.text).toBe('');
  return String(json(run)['id']);
}

describe('image create', () => {
  it('makes a record with every option', async () => {
    const args = ['--disk-format', 'raw', '--container-format', 'bare', '--visibility', 'public', '--protected'];
    args.push('--property', 'a=b=c', '--property', 'empty=', '--tag', 't', '--min-disk', '3', '--min-ram', '4');
    const run = await oriel(['image', 'create', 'full', ...args, '--json']);
    expect(run.code).toBe(0);
    expect(json(run)).toMatchObject({
      name: 'full',
      status: 'queued',
      visibility: 'public',
      protected: true,
      disk_format: 'raw',
      min_disk: 3,
      min_ram: 4,
      tags: ['t'],
      properties: { a: 'b=c', empty: '' },
    });
  });

  it('uploads a file in chunks of 1 MiB, announcing its size', async () => {
    const data = randomBytes(2_500_000);
    writeFileSync(join(folder, 'data'), data);
    const id = await create('with-data', '--file', join(folder, 'data'));
    expect(node.dataOf(id)?.equals(data)).toBe(true);
    expect(node.uploads.at(-1)).toEqual({ size: 2_500_000n, chunks: [1_048_576, 1_048_576, 402_848] });
  });

  it('uploads the standard input without a size', async () => {
    const run = await oriel(['image', 'create', 'piped', '--file', '-', '--json'], {
      stdin: Readable.from([Buffer.from('abc')]),
    });
    expect(node.dataOf(String(json(run)['id']))).toEqual(Buffer.from('abc'));
    expect(node.uploads.at(-1)?.size).toBeUndefined();
  });

  it('deletes the record when the upload fails, a protected one too', async () => {
    const before = node.images.size;
    node.failUploads = true;
    const run = await oriel(['image', 'create', 'bad', '--file', join(folder, 'data'), '--protected']);
    node.failUploads = false;
    expect(run.code).toBe(1);
    expect(run.stderr.text).toBe('oriel: no room (LIMIT_EXCEEDED)\n');
    expect(node.images.size).toBe(before);
    const missing = await oriel(['image', 'create', 'bad', '--file', join(folder, 'nothing')]);
    expect(missing.code).toBe(1);
    expect(missing.stderr.text).toContain('ENOENT');
    expect(node.images.size).toBe(before);
  });

  it('deletes the record when it is interrupted', async () => {
    const before = node.images.size;
    const stop = new AbortController();
    const stdin = new PassThrough();
    const running = oriel(['image', 'create', 'slow', '--file', '-'], { stdin, signal: stop.signal });
    await node.uploadStarted();
    stop.abort();
    expect((await running).code).toBe(130);
    stdin.destroy();
    expect(node.images.size).toBe(before);
  });

  it('shows a bar with the rate on a terminal, and nothing elsewhere', async () => {
    const args = ['image', 'create', 'bar', '--file', join(folder, 'data')];
    expect((await oriel(args, { tty: true })).stderr.text).toMatch(
      /uploading .*100% \| .* of 2\.4 MiB \| .*\/s \| ETA/,
    );
    expect((await oriel(args)).stderr.text).toBe('');
  });
});

describe('image download', () => {
  let id: string;
  const data = randomBytes(1_500_000);
  beforeAll(async () => {
    writeFileSync(join(folder, 'source'), data);
    id = await create('source', '--file', join(folder, 'source'));
  });

  it('writes and verifies the data', async () => {
    const file = join(folder, 'target');
    const run = await oriel(['image', 'download', 'source', file, '--json']);
    const digest = createHash('sha512').update(data).digest('hex');
    expect(json(run)).toEqual({ id, file, size: data.length, verified: { algorithm: 'sha512', digest } });
    expect(readFileSync(file).equals(data)).toBe(true);
    expect(existsSync(`${file}.part`)).toBe(false);
  });

  it('writes nothing but the data to the standard output', async () => {
    const run = await oriel(['image', 'download', id, '-']);
    expect(Buffer.concat(run.stdout.chunks).equals(data)).toBe(true);
  });

  it('leaves a file alone that is there, unless forced', async () => {
    const file = join(folder, 'kept');
    writeFileSync(file, 'mine');
    const run = await oriel(['image', 'download', id, file]);
    expect([run.code, run.stderr.text]).toEqual([1, expect.stringContaining('ALREADY_EXISTS')]);
    expect(readFileSync(file, 'utf8')).toBe('mine');
    expect((await oriel(['image', 'download', id, file, '--force'])).code).toBe(0);
    expect(readFileSync(file).equals(data)).toBe(true);
  });

  it('gives no file its name when the bytes are not those of the image', async () => {
    for (const fault of ['corrupt', 'short'] as const) {
      node.downloadFault = fault;
      const file = join(folder, fault);
      const run = await oriel(['image', 'download', id, file]);
      expect([run.code, run.stderr.text]).toEqual([1, expect.stringContaining('DATA_CORRUPT')]);
      expect(existsSync(file) || existsSync(`${file}.part`)).toBe(false);
    }
    node.downloadFault = undefined;
  });
});

describe('image list', () => {
  it('walks all pages, and stops at the limit', async () => {
    for (let index = 0; index < 7; index += 1) await create(`page-${index}`, '--tag', 'paged');
    node.pageMax = 3;
    const all = JSON.parse((await oriel(['image', 'list', '--tag', 'paged', '--json'])).stdout.text) as unknown[];
    expect(all).toHaveLength(7);
    const some = await oriel(['image', 'list', '--tag', 'paged', '--limit', '4']);
    expect(some.stdout.text.trim().split('\n')).toHaveLength(5);
    node.pageMax = 1000;
  });

  it('is an empty list when there is none', async () => {
    expect((await oriel(['image', 'list', '--tag', 'nothing', '--json'])).stdout.text).toBe('[]\n');
  });

  it('sends filters and order', async () => {
    await oriel([
      'image',
      'list',
      '--visibility',
      'all',
      '--status',
      'active',
      '--no-protected',
      '--sort',
      'name:asc,size',
    ]);
    expect(node.lastList).toMatchObject({
      filter: { visibility: 'VISIBILITY_SCOPE_ALL', statuses: ['active'], protected: false },
      sort: [
        { field: 'SORT_FIELD_NAME', ascending: true },
        { field: 'SORT_FIELD_SIZE', ascending: false },
      ],
    });
  });

  it('does not let a name drive the terminal', async () => {
    await create('evil\u001b[2Jname', '--tag', 'evil');
    const { stdout } = await oriel(['image', 'list', '--tag', 'evil']);
    expect(stdout.text).toContain('evil\\u001b[2Jname');
    expect(stdout.text).not.toContain('\u001b');
  });
});

describe('image update and the rest', () => {
  it('copies into a store that is named', async () => {
    const id = await create('copied');
    expect((await oriel(['image', 'copy', id])).code).toBe(2);
    const run = await oriel(['image', 'copy', 'copied', '--store', 'safe', '--json']);
    expect([run.code, node.images.get(id)?.stores]).toEqual([0, ['safe']]);
  });

  it('fetches into a file that is named once', async () => {
    const id = await create('fetched');
    expect((await oriel(['image', 'fetch', id])).code).toBe(2);
    expect((await oriel(['image', 'fetch', id, '/srv/a', '--nova-cache', '/srv'])).code).toBe(2);
    writeFileSync(join(folder, 'seven'), 'seven b');
    await oriel(['image', 'upload', id, join(folder, 'seven')]);
    const run = await oriel(['image', 'fetch', 'fetched', '/srv/a', '--json']);
    const file = { id, path: '/srv/a', size: 7, way: 'copy', resumed: 0 };
    expect([run.code, json(run)]).toEqual([0, file]);
  });

  it('turns options into changes', async () => {
    const id = await create('changed', '--property', 'old=1');
    const args = ['--name', 'new', '--no-protected', '--hidden', '--property', 'k=v', '--remove-property', 'old'];
    await oriel(['image', 'update', id, ...args, '--clear-tags', '--expect-version', '1']);
    expect(node.lastUpdate?.expectVersion).toBe(1n);
    expect(node.lastUpdate?.changes.map(({ change }) => change)).toEqual([
      { $case: 'name', value: { value: 'new' } },
      { $case: 'protected', value: false },
      { $case: 'osHidden', value: true },
      { $case: 'tags', value: { tags: [] } },
      { $case: 'property', value: { name: 'k', action: { $case: 'set', value: 'v' } } },
      { $case: 'property', value: { name: 'old', action: { $case: 'remove', value: {} } } },
    ]);
  });

  it('refuses to change nothing, or two things at once', async () => {
    expect((await oriel(['image', 'update', 'x'])).stderr.text).toContain('nothing to change');
    const both = await oriel(['image', 'update', 'x', '--property', 'a=1', '--remove-property', 'a']);
    expect(both.stderr.text).toContain('both name "a"');
  });

  it('takes a name where only one image has it', async () => {
    const ids = [await create('twin'), await create('twin')];
    const run = await oriel(['image', 'show', 'twin']);
    expect(run.code).toBe(1);
    for (const id of ids) expect(run.stderr.text).toContain(id);
    expect((await oriel(['image', 'show', 'nobody'])).stderr.text).toContain('(NOT_FOUND)');
    expect(json(await oriel(['image', 'show', 'changed', '--json']))['name']).toBe('changed');
  });

  it('deletes none when one is not there', async () => {
    const id = await create('deleted');
    expect((await oriel(['image', 'delete', id, 'nobody'])).code).toBe(1);
    expect(node.images.has(id)).toBe(true);
    expect((await oriel(['image', 'delete', 'deleted'])).stdout.text).toBe(`deleted ${id}\n`);
    expect(node.images.has(id)).toBe(false);
  });
});

describe('call', () => {
  it('calls any RPC by short and full name', async () => {
    for (const name of ['GetCaller', 'NodeService/GetCaller', 'oriel.node.v1.NodeService.GetCaller']) {
      expect(json(await oriel(['call', name], { env: { ORIEL_TOKEN: 'tok' } }))).toMatchObject({ user_id: 'tok' });
    }
  });

  it('prints one JSON a line of a streamed answer', async () => {
    const id = await create('streamed', '--file', join(folder, 'data'));
    const lines = (await oriel(['call', 'DownloadImage', JSON.stringify({ image_id: id })])).stdout.text
      .trim()
      .split('\n');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ part: 'header', header: { size: '2500000' } });
    expect(lines).toHaveLength(4);
  });

  it('streams requests, one JSON a line, from the standard input', async () => {
    const id = await create('called');
    const parts = [{ header: { image_id: id } }, { chunk: Buffer.from('abc').toString('base64') }];
    const stdin = Readable.from([parts.map((part) => JSON.stringify(part)).join('\n')]);
    expect((await oriel(['call', 'UploadImage', '-'], { stdin })).code).toBe(0);
    expect(node.dataOf(id)).toEqual(Buffer.from('abc'));
  });

  it('says which fields and RPCs there are', async () => {
    expect((await oriel(['call', 'GetImage', '{"ID":1}'])).stderr.text).toContain('no field "ID"; fields: id');
    expect((await oriel(['call', 'Nothing'])).stderr.text).toContain('oriel.catalog.v1.CatalogService/GetImage');
    expect((await oriel(['call', '--list'])).stdout.text).toContain('oriel.data.v1.DataService/UploadImage\n');
  });

  it('says which field has the wrong type, also deep inside', async () => {
    const cases = [
      ['ListImages', { page_size: 'x' }, 'page_size: expected a whole number from 0 to 4294967295, found "x"'],
      ['ListImages', { filter: { names: 'a' } }, 'filter.names: expected a JSON array'],
      ['ListImages', { filter: { names: ['a', 1] } }, 'filter.names[1]: expected a text, found 1'],
      ['ListImages', { filter: { visibility: 'public' } }, 'filter.visibility: expected one of VISIBILITY_SCOPE_'],
      ['ListImages', { filter: { nams: [] } }, 'filter has no field "nams"; fields: visibility'],
      ['ListImages', { sort: [{ ascending: 'yes' }] }, 'sort[0].ascending: expected true or false'],
      ['CreateImage', { properties: { a: 1 } }, 'properties["a"]: expected a text, found 1'],
      ['CreateImage', [], 'the request: expected a JSON object, found []'],
    ] as const;
    for (const [method, request, message] of cases) {
      const run = await oriel(['call', method, JSON.stringify(request)]);
      expect([run.code, run.stderr.text]).toEqual([2, expect.stringContaining(message)]);
    }
    expect((await oriel(['call', 'ListImages', '{"page_size":"1","filter":null}'])).code).toBe(0);
    const made = await oriel(['call', 'CreateImage', '{"name":"typed","properties":{"a":"1"},"tags":["t"]}']);
    expect(made.code).toBe(0);
  });

  it('shows the reason of a failure', async () => {
    expect((await oriel(['call', 'GetImage', '{"id":"x"}'])).stderr.text).toBe('oriel: no image x (NOT_FOUND)\n');
  });
});

describe('events', () => {
  it('goes on after the last token when a stream ends or breaks, until nothing is known any more', async () => {
    const run = await oriel(['events', '--json']);
    const image = { image_id: '6c1f4f6e-3d5f-4f0e-9d0c-0a6f5f1d2b11', occurred_at: '1970-01-01T00:00:00.000Z' };
    expect(
      run.stdout.text
        .trimEnd()
        .split('\n')
        .map((line): unknown => JSON.parse(line)),
    ).toEqual([
      { ...image, kind: 'image_updated', token: '1-2', image_version: 4, image_status: 'active' },
      { ...image, kind: 'member_deleted', token: '1-3', member_id: 'p2' },
    ]);
    expect(run.stderr.text).toBe(
      'oriel: the node is stopping. Trying again.\noriel: nothing is known after 1-3 (EVENTS_GONE)\n',
    );
    expect(run.code).toBe(1);
  });

  it('prints a line for each, and fails when the first stream does not open', async () => {
    const run = await oriel(['events', '--after', '1-2']);
    expect(run.stdout.text).toBe(
      '1970-01-01T00:00:00.000Z member_deleted 6c1f4f6e-3d5f-4f0e-9d0c-0a6f5f1d2b11 p2 (1-3)\n',
    );
    expect((await oriel(['events', '--node', '127.0.0.1:1'])).code).toBe(1);
  });
});

describe('the command line', () => {
  it('exits with 2 on a wrong one and 0 on help', async () => {
    for (const args of [
      ['bogus'],
      ['image', 'show'],
      ['image', 'list', '--limit', 'x'],
      ['image', 'create', 'x', '--property', 'y'],
    ]) {
      const run = await oriel(args);
      expect([run.code, run.stderr.text]).toEqual([2, expect.stringContaining('--help')]);
    }
    expect((await oriel(['--help'])).code).toBe(0);
    expect((await oriel(['image', 'create', '--help'])).stdout.text).toContain('Examples:');
    expect((await oriel(['--version'])).stdout.text).toBe('9.9.9\n');
  });

  it('says which address does not answer, and what to do', async () => {
    const run = await oriel(['image', 'list', '--node', '127.0.0.1:1']);
    expect(run.code).toBe(1);
    expect(run.stderr.text).toMatch(/^oriel: No node answers at 127\.0\.0\.1:1 \(connect ECONNREFUSED.*"oriel serve"/);
    expect((await oriel(['node', 'status', '--node', 'nonsense'])).stderr.text).toContain('expected HOST:PORT');
  });

  it('reaches a node over TCP, and shows its state', async () => {
    const run = await oriel(['node', 'status', '--node', node.tcp]);
    expect([run.code, run.stdout.text]).toEqual([1, expect.stringContaining('store file  FAILED  disk gone')]);
    expect(run.stderr.text).toContain('not ready');
    expect((await oriel(['node', 'whoami', '--token', 'me'])).stdout.text).toBe(
      'user me, project demo, roles member\n',
    );
  });

  it('ends with 2 for a wrong command line', async () => {
    const wrong = [
      ['image', 'update', 'u1'],
      ['image', 'update', 'u1', '--tag', 'a', '--clear-tags'],
      ['image', 'list', '--node', 'foo'],
      ['image', 'list', '--node', '127.0.0.1:99999'],
      ['image', 'list', '--cert', 'c.pem', '--key', 'k.pem'],
      ['image', 'list', '--status', 'foo'],
      ['image', 'tag', 'u1', ''],
      ['token', 'create', '--user', 'u', '--role', 'foo'],
    ];
    for (const args of wrong) expect([args, (await oriel(args)).code]).toEqual([args, 2]);
    expect((await oriel(['image', 'list', '--status', 'foo'])).stderr.text).toContain('one of queued, saving');
    expect((await oriel(['token', 'create', '--user', 'u', '--role', 'foo'])).stderr.text).toContain('reader, member');
  });

  it('names the option and what to do when a file cannot be used', async () => {
    const ca = await oriel(['image', 'list', '--ca', join(folder, 'no.pem')]);
    expect([ca.code, ca.stderr.text]).toEqual([
      1,
      expect.stringMatching(/^oriel: --ca .*no\.pem: ENOENT: there is no/),
    ]);
    writeFileSync(join(folder, 'bad.pem'), 'no PEM');
    const bad = await oriel(['image', 'list', '--ca', join(folder, 'bad.pem')]);
    expect([bad.code, bad.stderr.text]).toEqual([1, expect.stringContaining('bad.pem')]);
  });

  it('hands tokens and configuration to the functions given', async () => {
    const made = await oriel(['token', 'create', '--user', 'u', '--role', 'admin', '--json']);
    expect(json(made)).toMatchObject({ token: 'oriel_new', user: 'u', project: null, roles: ['admin'] });
    expect((await oriel(['config', '--config', 'f.toml'])).stdout.text).toBe('# f.toml\n');
  });
});
