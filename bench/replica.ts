/**
 * Replicas of a real sqld: time to the first copy of a big catalog, how far behind reads are while 100 groups a second
 * are written, and what polling replicas cost the primary.
 *
 * node dist/bench/replica.js [--images N] [--replicas N] [--seconds N]
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { ReplicaCatalog } from '../src/catalog/replica/replica-catalog.js';
import { Connection } from '../src/catalog/connection.js';
import { PrimaryGroups } from '../test/support/primary-groups.js';
import { openReplica, ready } from '../test/support/replica.js';
import { Sqld } from '../test/support/sqld.js';
import { Report } from './support/report.js';

const GROUPS_PER_SECOND = 100;
/** Of a second, in /proc/PID/stat. */
const TICKS = 100;

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '100000' },
    replicas: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '20' },
  },
});
const [images, replicas, seconds] = [Number(values.images), Number(values.replicas), Number(values.seconds)];
const folder = mkdtempSync(join(tmpdir(), 'oriel-bench-replica-'));
const report = new Report('replica');
try {
  if (images > 0) await firstCopies();
  await lag();
  await polling();
  report.save();
} finally {
  rmSync(folder, { recursive: true });
}

/** A primary over a big catalog, copied thrice. */
async function firstCopies(): Promise<void> {
  const home = join(folder, 'big');
  const data = join(home, 'primary/dbs/default/data');
  mkdirSync(join(home, 'primary/dbs/default'), { recursive: true });
  const seed = join(folder, 'seed.db');
  execFileSync(process.execPath, [fileURLToPath(new URL('./seed-catalog.js', import.meta.url)), seed, String(images)]);
  const connection = new Connection(seed, 'writer');
  // Replicas of pages of another size are damaged: libSQL's frames are of 4 KiB.
  for (const sql of ['pragma journal_mode = delete', 'pragma page_size = 4096', 'vacuum']) connection.exec(sql);
  connection.close();
  renameSync(seed, data);
  const sqld = await Sqld.start(home);
  const times: number[] = [];
  for (let k = 0; k < 3; k += 1) {
    const from = performance.now();
    const catalog = await openReplica(sqld, join(home, `replica-${k}`));
    await ready(catalog);
    times.push((performance.now() - from) / 1000);
    await catalog.close();
    rmSync(join(home, `replica-${k}`), { recursive: true });
  }
  const target = 'the first, beside a primary that has just started: below 30 s';
  report.add(`copy of ${images} images`, 's', [{ subject: 'ready after', values: times }], target);
  await sqld.close();
  rmSync(home, { recursive: true });
}

/** How long after its commit a group is seen: by itself, and by one who waits for it. */
async function lag(): Promise<void> {
  const { sqld, groups, home } = await smallPrimary('lag');
  const [polls, waits] = [await opened(sqld, join(home, 'polls')), await opened(sqld, join(home, 'waits'))];
  const committedAt: number[] = [];
  const [polled, waited]: [number[], number[]] = [[], []];
  const sampling = setInterval(() => {
    void polls.read((reader) => {
      while (reader.operation(`op-${polled.length + 1}`) !== undefined) {
        polled.push(performance.now() - (committedAt[polled.length] ?? performance.now()));
      }
    });
  }, 5);
  const waiting: Promise<void>[] = [];
  await atRate(seconds, async () => {
    const position = await groups.commit();
    const at = performance.now();
    committedAt.push(at);
    waiting.push(
      waits.waitFor(position, 60_000).then(() => {
        waited.push(performance.now() - at);
      }),
    );
  });
  await Promise.all(waiting);
  while (polled.length < groups.count) await pause(5);
  clearInterval(sampling);
  addSpread('lag, polled each second', polled);
  addSpread('wait for a position just written', waited);
  await polls.close();
  await waits.close();
  await sqld.close();
}

/** Processor time of the primary with many replicas that poll each second, without and with writes. */
async function polling(): Promise<void> {
  const { sqld, groups, home } = await smallPrimary('polling');
  const catalogs: ReplicaCatalog[] = [];
  const share = async (work: () => Promise<unknown>): Promise<number> => {
    const [from, ticks] = [performance.now(), ticksOf(sqld.pid ?? 0)];
    await work();
    return ((ticksOf(sqld.pid ?? 0) - ticks) / TICKS / ((performance.now() - from) / 1000)) * 100;
  };
  const writes = async (): Promise<void> =>
    await atRate(seconds, async () => {
      await groups.commit();
    });
  const [idle, alone] = [await share(async () => await pause(seconds * 1000)), await share(writes)];
  for (let k = 0; k < replicas; k += 1) catalogs.push(await opened(sqld, join(home, `replica-${k}`)));
  const polled = await share(async () => await pause(seconds * 1000));
  const both = await share(writes);
  const none = 'without replicas';
  const all = `${replicas} replicas`;
  const target = 'below 25 % of a core';
  report.add('sqld, nothing written', '%', [{ subject: all, values: [polled] }], target);
  report.add('sqld, nothing written', '%', [{ subject: none, values: [idle] }]);
  report.add(`sqld, ${GROUPS_PER_SECOND} groups/s`, '%', [{ subject: all, values: [both] }]);
  report.add(`sqld, ${GROUPS_PER_SECOND} groups/s`, '%', [{ subject: none, values: [alone] }]);
  for (const catalog of catalogs) await catalog.close();
  await sqld.close();
}

async function smallPrimary(name: string): Promise<{ sqld: Sqld; groups: PrimaryGroups; home: string }> {
  const home = join(folder, name);
  mkdirSync(home);
  const sqld = await Sqld.start(home);
  await sqld.migrate();
  return { sqld, groups: new PrimaryGroups(sqld), home };
}

async function opened(sqld: Sqld, directory: string): Promise<ReplicaCatalog> {
  const catalog = await openReplica(sqld, directory);
  await ready(catalog);
  return catalog;
}

/** Commits at the rate, or as fast as the primary does when that is slower. */
async function atRate(forSeconds: number, commit: () => Promise<void>): Promise<void> {
  const from = performance.now();
  for (let k = 0; k < forSeconds * GROUPS_PER_SECOND; k += 1) {
    const early = from + (k * 1000) / GROUPS_PER_SECOND - performance.now();
    if (early > 1) await pause(early);
    if (performance.now() - from > forSeconds * 1000) return;
    await commit();
  }
}

function addSpread(measure: string, times: readonly number[]): void {
  const sorted = [...times].sort((left, right) => left - right);
  const at = (part: number): number => sorted[Math.floor((sorted.length - 1) * part)] ?? Number.NaN;
  for (const part of [0.5, 0.99]) {
    report.add(`${measure}, p${part * 100}`, 'ms', [{ subject: `${sorted.length} groups`, values: [at(part)] }]);
  }
}

/** Processor time in ticks (proc(5), /proc/PID/stat, fields 14 and 15). */
function ticksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
