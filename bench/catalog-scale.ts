/**
 * Lists, shows and writes at 1 000 and at many images, and their ratios, in one run.
 *
 * node dist/bench/catalog-scale.js [--images N] [--dir DIR] [--keep]
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Catalog } from '../src/application/ports/catalog.js';
import { openEmbeddedCatalog } from '../src/catalog/index.js';
import type { ImageQuery, ListScope, SortField } from '../src/domain/image-query.js';
import { VISIBILITIES } from '../src/domain/image.js';
import { GUEST, ME, seededImage } from './seed-catalog.js';

const SORTS: readonly SortField[] = ['created_at', 'updated_at', 'name', 'size'];
const ADMIN: ListScope = {
  anyOwner: ['public', 'private', 'shared'],
  own: { projectId: ME, visibilities: ['community'] },
  member: null,
};
const MEMBER: ListScope = {
  anyOwner: ['public'],
  own: { projectId: ME, visibilities: VISIBILITIES },
  member: { projectId: GUEST, statuses: ['accepted'] },
};
const BASE: ImageQuery = {
  scope: ADMIN,
  osHidden: false,
  protected: null,
  owner: null,
  ids: [],
  names: [],
  statuses: [],
  diskFormats: [],
  containerFormats: [],
  checksum: null,
  osHashValue: null,
  tags: [],
  properties: [],
  integers: [],
  times: [],
  sort: [],
  after: null,
  limit: 25,
};
const FILTERS: Record<string, (scope: ListScope) => Partial<ImageQuery>> = {
  none: () => ({}),
  'visibility=public': () => ({ scope: { anyOwner: ['public'], own: null, member: null } }),
  owner: () => ({ owner: ME }),
  'status=queued 2%': () => ({ statuses: ['queued'] }),
  'status=active 96%': () => ({ statuses: ['active'] }),
  'name 1%': () => ({ names: ['image-7'] }),
  'tag 1%': () => ({ tags: ['tag-7'] }),
  'member 1%': () => ({ scope: { anyOwner: [], own: null, member: { projectId: GUEST, statuses: ['accepted'] } } }),
  'property 1%': () => ({ properties: [{ name: 'build', value: 'build-7' }] }),
};
/** Combinations that no single index serves. */
const OTHERS: Record<string, Partial<ImageQuery>> = {
  'sort id': { sort: [{ field: 'id', ascending: true }] },
  'sort status': { sort: [{ field: 'status', ascending: true }] },
  'sort disk_format': { sort: [{ field: 'disk_format', ascending: false }] },
  'sort name, size': {
    sort: [
      { field: 'name', ascending: true },
      { field: 'size', ascending: false },
    ],
  },
  'size range': { integers: [{ field: 'size', min: 4_200_000_000, max: 4_210_000_000 }] },
  'min_ram, tag, status': {
    integers: [{ field: 'min_ram', min: 3584, max: null }],
    tags: ['tag-7'],
    statuses: ['queued'],
  },
  'tag and property': { tags: ['tag-7'], properties: [{ name: 'build', value: 'build-7' }] },
  'name and owner': { names: ['image-7'], owner: ME },
  'updated since': { times: [{ field: 'updated_at', operator: 'gte', seconds: 1_800_000_000 }] },
  protected: { protected: true },
  'disk_format and name asc': { diskFormats: ['raw'], sort: [{ field: 'name', ascending: true }] },
  'nothing matches': { tags: ['no such tag'], statuses: ['active'] },
  'min_disk never': { integers: [{ field: 'min_disk', min: 1000, max: null }] },
};

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { images: { type: 'string', default: '1000000' }, dir: { type: 'string' }, keep: { type: 'boolean' } },
  });
  const directory = values.dir ?? mkdtempSync(join(tmpdir(), 'oriel-scale-'));
  mkdirSync(directory, { recursive: true });
  console.log(`machine: ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, node ${process.version}`);
  const small = await measure(directory, 1000);
  const large = await measure(directory, Number(values.images));
  console.log(`${'µs, p50'.padEnd(48)} ${'1000'.padStart(9)} ${values.images.padStart(9)}  ratio`);
  for (const [name, few] of small) {
    const many = large.get(name) ?? Number.NaN;
    console.log(
      `${name.padEnd(48)} ${few.toFixed(0).padStart(9)} ${many.toFixed(0).padStart(9)}  ${(many / few).toFixed(2)}`,
    );
  }
  if (values.keep !== true) rmSync(directory, { recursive: true });
}

async function measure(directory: string, images: number): Promise<Map<string, number>> {
  const path = join(directory, `catalog-${images}.db`);
  if (!existsSync(path)) {
    const started = performance.now();
    execFileSync(process.execPath, [
      fileURLToPath(new URL('./seed-catalog.js', import.meta.url)),
      path,
      String(images),
    ]);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`seeded ${images} images in ${seconds} s, ${(statSync(path).size / 2 ** 20).toFixed(0)} MiB`);
  }
  const catalog = await openEmbeddedCatalog({ path });
  const results = new Map<string, number>();
  try {
    await reads(catalog, images, results);
    await writes(catalog, images, results);
  } finally {
    await catalog.close();
  }
  return results;
}

async function reads(catalog: Catalog, images: number, results: Map<string, number>): Promise<void> {
  const ids = Array.from({ length: 500 }, (_, k) => seededImage(Math.floor((k * images) / 500)).id);
  results.set(
    'show',
    await median(500, async (k) => await catalog.read((reader) => reader.image(ids[k] ?? ids[0] ?? missing()))),
  );
  for (const [scopeName, scope] of [
    ['admin', ADMIN],
    ['member', MEMBER],
  ] as const) {
    for (const [filterName, filter] of Object.entries(FILTERS)) {
      for (const field of SORTS) {
        for (const ascending of [false, true]) {
          const query = { ...BASE, scope, ...filter(scope), sort: [{ field, ascending }] };
          const name = `${scopeName} | ${filterName} | ${field} ${ascending ? 'asc' : 'desc'}`;
          results.set(name, await median(21, async () => await catalog.listImages(query)));
        }
      }
    }
    for (const [name, other] of Object.entries(OTHERS)) {
      const query = { ...BASE, scope, ...other };
      results.set(`${scopeName} | other | ${name}`, await median(5, async () => await catalog.listImages(query)));
    }
  }
}

async function writes(catalog: Catalog, images: number, results: Map<string, number>): Promise<void> {
  let opCount = 0;
  const write = async (effect: Parameters<Catalog['write']>[0][number]): Promise<unknown> => {
    opCount += 1;
    return await catalog.write([effect], { opId: `bench-${Date.now()}-${opCount}`, subject: '' });
  };
  const base = images + Date.now();
  results.set(
    'write: insert',
    await median(300, async (k) => await write({ kind: 'insert-image', image: seededImage(base + k) })),
  );
  results.set(
    'write: rename',
    await median(300, async (k) => {
      const before = seededImage(base + k);
      await write({
        kind: 'update-image',
        before,
        after: { ...before, version: 2, name: `renamed-${k}`, updatedAtMs: before.updatedAtMs + 5 },
      });
    }),
  );
  const started = performance.now();
  let done = 0;
  const client = async (c: number): Promise<void> => {
    for (let k = 0; k < 30; k += 1) {
      await write({ kind: 'insert-image', image: seededImage(base + 1000 + c * 100 + k) });
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: 64 }, async (_, c) => await client(c)));
  results.set('write: insert, 64 clients, per second', (done * 1000) / (performance.now() - started));
}

async function median(runs: number, run: (k: number) => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let k = 0; k < runs; k += 1) {
    const started = performance.now();
    await run(k);
    times.push((performance.now() - started) * 1000);
  }
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length / 2)] ?? Number.NaN;
}

function missing(): never {
  throw new Error('no image');
}

await main();
