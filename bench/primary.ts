/**
 * Writes at the authority of a cluster: 64 clients that each change an image again and again, through the lane that groups
 * them, against the same without groups. Every write is durable (`durability_mode: strong`) before it counts.
 *
 * node dist/bench/primary.js [--repeats N] [--seconds N]
 */
import { parseArgs } from 'node:util';
import { openPrimaryCatalog } from '../src/catalog/primary/open-primary-catalog.js';
import type { Image } from '../src/domain/image.js';
import { tempFolder } from '../test/support/temp-folder.js';
import { seededImage } from './seed-catalog.js';
import { Report } from './support/report.js';

const CLIENTS = 64;
const IMAGES = 1024;

type Change = (before: Image, turn: number) => Image;
const next = (before: Image, changes: Partial<Image>): Image =>
  ({ ...before, ...changes, version: before.version + 1, updatedAtMs: before.updatedAtMs + 1 }) as Image;
const CHANGES: Readonly<Record<string, Change>> = {
  'PATCH min_ram': (before, turn) => next(before, { minRamMib: turn }),
  'PATCH a property': (before, turn) =>
    next(before, { properties: new Map([...before.properties, ['build_id', `v${turn}`]]) }),
  'PATCH name': (before, turn) => next(before, { name: `name-${turn}` }),
};

async function writesPerSecond(groupLimit: number | undefined, change: Change, seconds: number): Promise<number> {
  const folder = await tempFolder('bench-primary');
  const options = groupLimit === undefined ? {} : { groupLimit };
  const primary = await openPrimaryCatalog({ dataDir: folder.path, sqldPort: 0, ...options });
  try {
    const { catalog } = primary;
    const images = Array.from({ length: IMAGES }, (_, n) => seededImage(n));
    const insert = images.map((image) => ({ kind: 'insert-image', image }) as const);
    for (let n = 0; n < IMAGES; n += 64) {
      await catalog.write(insert.slice(n, n + 64), { opId: `seed-${n}`, subject: '' });
    }
    const started = performance.now();
    let done = 0;
    const client = async (c: number): Promise<void> => {
      for (let turn = 0; performance.now() - started < seconds * 1000; turn += 1) {
        const place = c + CLIENTS * (turn % (IMAGES / CLIENTS));
        const before = images[place] ?? seededImage(place);
        const after = change(before, turn);
        await catalog.write([{ kind: 'update-image', before, after }], { opId: `${c}-${turn}`, subject: after.id });
        images[place] = after;
        done += 1;
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, async (_, c) => await client(c)));
    return (done * 1000) / (performance.now() - started);
  } finally {
    await primary.close();
    await folder.remove();
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { repeats: { type: 'string', default: '3' }, seconds: { type: 'string', default: '4' } },
  });
  const report = new Report('primary');
  for (const [name, change] of Object.entries(CHANGES)) {
    const grouped: number[] = [];
    const single: number[] = [];
    // In turns, so that what else the machine does falls on both.
    for (let repeat = 0; repeat < Number(values.repeats); repeat += 1) {
      grouped.push(await writesPerSecond(undefined, change, Number(values.seconds)));
      single.push(await writesPerSecond(1, change, Number(values.seconds)));
    }
    const series = [
      { subject: 'grouped', values: grouped },
      { subject: 'one by one', values: single },
    ];
    report.add(name, 'durable writes/s, 64 clients', series, '1500/s and 8 times');
  }
  report.save();
}

await main();
