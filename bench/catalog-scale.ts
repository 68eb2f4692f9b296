/**
 * Lists, shows and writes at 1 000 and at many images, and their ratios, in one run. Asks what an operator asks: does my
 * list slow down when the catalog grows?
 *
 * A ratio is of like with like only when both lists show as many images: a 1 % filter matches 10 of 1 000 images, less
 * than a page, and 10 000 of a million. So each filter is also there with a share that fills the page at both sizes, and
 * each row tells how many images were listed; rows that differ in that are marked and not counted. `again` lists are
 * repeated, so their images are in memory at both sizes; `first look` lists are pages of images that were not looked at
 * since the catalog was opened, so neither our memory nor SQLite's has them at either size (the system's has). The two
 * sizes take turns, so that other work on the machine meets both.
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
import type { ImageQuery, SortKey } from '../src/domain/image-query.js';
import { BASE, FILTERS, INDEXED_SORTS, OTHERS, pairsOfFiltersAndKeys, SCOPES } from './catalog-queries.js';
import { seededImage } from './seed-catalog.js';

const FEW = 1000;
const AGAIN_RUNS = 31;
/** 20 pages of the images that an administrator sees of 1 000. */
const WALKED_PAGES = 20;

/** The same catalog at one of the two sizes. */
interface Sized {
  readonly path: string;
  readonly images: number;
  readonly catalog: Catalog;
}

/** Microseconds, and images listed in the last run (null: no list). */
interface Sample {
  readonly times: number[];
  listed: number | null;
}

/** Prints a row, and remembers the ratios of like with like. */
class Table {
  readonly #ratios: { readonly name: string; readonly ratio: number }[] = [];

  row(name: string, few: Sample, many: Sample): void {
    const [fast, slow] = [medianOf(few.times), medianOf(many.times)];
    const alike = few.listed === many.listed;
    const counts = few.listed === null ? '' : `${few.listed}/${many.listed ?? 0}`;
    const ratio = slow / fast;
    if (alike) this.#ratios.push({ name, ratio });
    console.log(
      `${name.padEnd(62)} ${counts.padStart(6)} ${fast.toFixed(0).padStart(8)} ${slow.toFixed(0).padStart(8)}  ` +
        `${ratio.toFixed(2)}${alike ? '' : '  (more images in the answer)'}`,
    );
  }

  summary(): void {
    const sorted = this.#ratios.toSorted((a, b) => b.ratio - a.ratio);
    const over = sorted.filter(({ ratio }) => ratio > 2);
    const middle = sorted[Math.floor(sorted.length / 2)]?.ratio ?? Number.NaN;
    console.log(
      `\nlike with like: ${sorted.length} rows, median ratio ${middle.toFixed(2)}, over 2.00: ${over.length}`,
    );
    for (const { name, ratio } of sorted.slice(0, Math.max(5, over.length))) {
      console.log(`  ${ratio.toFixed(2)}  ${name}`);
    }
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { images: { type: 'string', default: '1000000' }, dir: { type: 'string' }, keep: { type: 'boolean' } },
  });
  const directory = values.dir ?? mkdtempSync(join(tmpdir(), 'oriel-scale-'));
  mkdirSync(directory, { recursive: true });
  console.log(`machine: ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, node ${process.version}`);
  // A kept file has the writes of the last run: two in a thousand of a million, but more than there were of 1 000.
  for (const suffix of ['', '-wal', '-shm']) rmSync(join(directory, `catalog-${FEW}.db${suffix}`), { force: true });
  const paths = [FEW, Number(values.images)].map((images) => ({ images, path: seededFile(directory, images) }));
  const open = async (): Promise<Sized[]> =>
    await Promise.all(paths.map(async (one) => ({ ...one, catalog: await openEmbeddedCatalog({ path: one.path }) })));
  const table = new Table();
  console.log(`${'µs, p50'.padEnd(62)} listed ${String(FEW).padStart(8)} ${values.images.padStart(8)}  ratio`);
  for (const sort of INDEXED_SORTS) {
    await withOpen(open, async (sizes) => {
      const [few, many] = await both(sizes, async ({ catalog }) => await firstLook(catalog, sort));
      table.row(`admin | none | ${textOf(sort)} | first look`, few, many);
    });
  }
  await withOpen(open, async (sizes) => {
    await shows(sizes, table);
    await lists(sizes, table);
    table.summary();
    for (const { catalog, images } of sizes.slice(1)) await pairs(catalog, images);
    await writes(sizes);
  });
  if (values.keep !== true) rmSync(directory, { recursive: true });
}

async function withOpen(open: () => Promise<Sized[]>, use: (sizes: readonly Sized[]) => Promise<void>): Promise<void> {
  const sizes = await open();
  try {
    await use(sizes);
  } finally {
    for (const { catalog } of sizes) await catalog.close();
  }
}

function seededFile(directory: string, images: number): string {
  const path = join(directory, `catalog-${images}.db`);
  if (existsSync(path)) return path;
  const started = performance.now();
  const seed = fileURLToPath(new URL('./seed-catalog.js', import.meta.url));
  execFileSync(process.execPath, [seed, path, String(images)]);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`seeded ${images} images in ${seconds} s, ${(statSync(path).size / 2 ** 20).toFixed(0)} MiB`);
  return path;
}

/** Each page of a walk once. */
async function firstLook(catalog: Catalog, sort: SortKey): Promise<Sample> {
  const sample: Sample = { times: [], listed: 0 };
  let query: ImageQuery = { ...BASE, sort: [sort] };
  for (let page = 0; page < WALKED_PAGES; page += 1) {
    const images = await timed(sample, async () => await catalog.listImages(query));
    sample.listed = images.length;
    query = { ...query, after: images.at(-1)?.id ?? null };
  }
  return sample;
}

async function shows(sizes: readonly Sized[], table: Table): Promise<void> {
  for (const name of ['show | first look', 'show | again']) {
    const [few, many] = await both(sizes, async ({ catalog, images }) => {
      const sample: Sample = { times: [], listed: null };
      for (let k = 0; k < 500; k += 1) {
        const { id } = seededImage(Math.floor((k * images) / 500));
        await timed(sample, async () => await catalog.read((reader) => reader.image(id)));
      }
      return sample;
    });
    table.row(name, few, many);
  }
}

async function lists(sizes: readonly Sized[], table: Table): Promise<void> {
  for (const [scopeName, scope] of SCOPES) {
    for (const [filterName, filter] of Object.entries(FILTERS)) {
      for (const sort of INDEXED_SORTS) {
        const query = { ...BASE, scope, ...filter, sort: [sort] };
        table.row(`${scopeName} | ${filterName} | ${textOf(sort)} | again`, ...(await again(sizes, query, AGAIN_RUNS)));
      }
    }
  }
  console.log('\nother lists');
  const others = new Table();
  for (const [scopeName, scope] of SCOPES) {
    for (const [name, other] of Object.entries(OTHERS)) {
      others.row(`${scopeName} | ${name}`, ...(await again(sizes, { ...BASE, scope, ...other }, 5)));
    }
  }
}

/** The same list again and again, the sizes in turn; the first run of each is not counted. */
async function again(sizes: readonly Sized[], query: ImageQuery, runs: number): Promise<[Sample, Sample]> {
  const samples = await both(sizes, async ({ catalog }): Promise<Sample> => {
    const { length } = await catalog.listImages(query);
    return { times: [], listed: length };
  });
  for (let run = 0; run < runs; run += 1) {
    for (const [index, { catalog }] of sizes.entries()) {
      const sample = samples[index];
      if (sample !== undefined) await timed(sample, async () => await catalog.listImages(query));
    }
  }
  return samples;
}

/** Two filters under two keys, each at its start and far in; the slowest again, lest a stall of the machine is told. */
async function pairs(catalog: Catalog, images: number): Promise<void> {
  const far = seededImage(Math.floor(images * 0.7)).id;
  const pages: { readonly name: string; readonly query: ImageQuery; readonly us: number }[] = [];
  const time = async (query: ImageQuery, runs: number): Promise<number> => {
    const sample = newSample();
    for (let run = 0; run < runs; run += 1) await timed(sample, async () => await catalog.listImages(query));
    return medianOf(sample.times);
  };
  for (const [name, query] of pairsOfFiltersAndKeys()) {
    for (const after of [null, far]) {
      const page = { ...query, after };
      pages.push({ name: `${name}${after === null ? '' : ', far in'}`, query: page, us: await time(page, 1) });
    }
  }
  const sorted = pages.toSorted((a, b) => b.us - a.us);
  const at = (share: number): string => ((sorted[Math.floor(sorted.length * share)]?.us ?? 0) / 1000).toFixed(1);
  console.log(
    `\ntwo filters under two keys, ${images} images: ${sorted.length} pages, ms: p50 ${at(0.5)}, p99 ${at(0.01)}; slowest, p50 of 7:`,
  );
  for (const { name, query } of sorted.slice(0, 8)) {
    console.log(`  ${((await time(query, 7)) / 1000).toFixed(1).padStart(6)} ms  ${name}`);
  }
}

async function writes(sizes: readonly Sized[]): Promise<void> {
  console.log('\nwrites');
  const table = new Table();
  const base = Date.now();
  const insert = async (catalog: Catalog, n: number): Promise<unknown> =>
    await catalog.write([{ kind: 'insert-image', image: seededImage(n) }], { opId: `bench-i-${n}`, subject: '' });
  const inserted: [Sample, Sample] = [newSample(), newSample()];
  const renamed: [Sample, Sample] = [newSample(), newSample()];
  for (let k = 0; k < 300; k += 1) {
    for (const [index, { catalog }] of sizes.entries()) {
      const before = seededImage(base + k);
      await timed(inserted[index] ?? newSample(), async () => await insert(catalog, base + k));
      const after = { ...before, version: 2, name: `renamed-${k}`, updatedAtMs: before.updatedAtMs + 5 };
      const effect = { kind: 'update-image', before, after } as const;
      const write = { opId: `bench-u-${base + k}`, subject: '' };
      await timed(renamed[index] ?? newSample(), async () => await catalog.write([effect], write));
    }
  }
  table.row('write: insert', ...inserted);
  table.row('write: rename', ...renamed);
  for (const { catalog, images } of sizes) {
    const started = performance.now();
    const client = async (c: number): Promise<void> => {
      for (let k = 0; k < 30; k += 1) await insert(catalog, base + 1000 + c * 100 + k);
    };
    await Promise.all(Array.from({ length: 64 }, async (_, c) => await client(c)));
    const perSecond = (64 * 30 * 1000) / (performance.now() - started);
    console.log(`write: insert, 64 clients, ${images} images: ${perSecond.toFixed(0)} a second`);
  }
}

async function both(sizes: readonly Sized[], run: (size: Sized) => Promise<Sample>): Promise<[Sample, Sample]> {
  const [few, many] = sizes;
  if (few === undefined || many === undefined) throw new Error('two sizes expected');
  return [await run(few), await run(many)];
}

async function timed<T>(sample: Sample, run: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await run();
  sample.times.push((performance.now() - started) * 1000);
  return result;
}

function newSample(): Sample {
  return { times: [], listed: null };
}

function medianOf(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;
}

function textOf({ field, ascending }: SortKey): string {
  return `${field} ${ascending ? 'asc' : 'desc'}`;
}

await main();
