import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LastNews } from './last-news.js';

const HOUR_MS = 3_600_000;
const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'oriel-news-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function restarted(path: string, nowMs: number): Promise<number | null> {
  const news = await LastNews.open(path, log, () => nowMs);
  const age = news.ageMs();
  await news.close();
  return age;
}

describe('LastNews', () => {
  test('goes on over restarts, each adding the time the node was down', async () => {
    const path = join(folder, 'restarts');
    const start = 1_700_000_000_000;
    const news = await LastNews.open(path, log, () => start);
    expect(news.ageMs()).toBeNull();
    news.came(performance.now());
    await news.close();
    expect(await restarted(path, start + HOUR_MS)).toBeGreaterThanOrEqual(HOUR_MS);
    expect(await restarted(path, start + 3 * HOUR_MS)).toBeGreaterThanOrEqual(3 * HOUR_MS);
  });

  test('never becomes smaller by a clock that went back', async () => {
    const path = join(folder, 'back');
    const start = 1_700_000_000_000;
    const news = await LastNews.open(path, log, () => start);
    news.came(performance.now() - 2 * HOUR_MS);
    await news.close();
    expect(await restarted(path, start - HOUR_MS)).toBeGreaterThanOrEqual(3 * HOUR_MS);
    // A machine without a battery begins in 1970.
    expect(await restarted(path, 0)).toBeGreaterThan(24 * HOUR_MS);
  });

  test('is not known from a record that is no record', async () => {
    const path = join(folder, 'torn');
    writeFileSync(path, '{"ageMs":12');
    expect(await restarted(path, 1_700_000_000_000)).toBeNull();
    const news = await LastNews.open(path, log);
    news.came(performance.now());
    await news.close();
    expect(readFileSync(path, 'utf8')).toMatch(/^\{"ageMs":\d+,"atMs":\d+\} *$/);
  });
});
