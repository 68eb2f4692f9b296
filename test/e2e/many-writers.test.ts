/**
 * 64 writers over three edges: every change is answered well and none is lost; sqld neither wedges nor says that it is busy
 * (reference libsql.md: it did both with that many writers of its own). ORIEL_WRITING_S seconds; `npm run soak` takes an hour.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestCluster, startCluster } from '../support/cluster.js';
import { eventually } from '../support/eventually.js';

const WRITING_S = Number(process.env['ORIEL_WRITING_S'] ?? '8');
const WRITERS = 64;
const PROGRESS_MS = 60_000;

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster(3);
}, 120_000);
afterAll(() => cluster.stop(), 120_000);

interface Outcome {
  readonly id: string;
  changes: number;
  readonly refusals: string[];
  /** Reads that were answered 503: the copy did not come as far as the write in five seconds, on a machine that is too busy. */
  late: number;
}

/** Changes an image of its own through one edge, then reads it there; what was refused is kept. */
async function write(writer: number, untilMs: number): Promise<Outcome> {
  const rest = cluster.rest[writer % cluster.rest.length];
  if (rest === undefined) throw new Error('the cluster has no edge');
  const { id } = await rest.create({ name: `writer-${writer}`, disk_format: 'raw', container_format: 'bare' });
  const outcome: Outcome = { id, changes: 0, refusals: [], late: 0 };
  while (Date.now() < untilMs && outcome.refusals.length === 0) {
    const value = outcome.changes + 1;
    const answer = await rest.patch(id, [{ op: 'replace', path: '/min_ram', value }]);
    if (answer.status === 200) outcome.changes = value;
    else outcome.refusals.push(`${answer.status}: ${answer.text}`);
    const seen = await rest.call('GET', `/v2/images/${id}`);
    if (seen.status === 503) outcome.late += 1;
    else if (seen.status !== 200) outcome.refusals.push(`${seen.status}: ${seen.text}`);
    else {
      const { min_ram: read } = seen.json() as { min_ram: number };
      if (read !== outcome.changes) outcome.refusals.push(`read ${read} after ${outcome.changes}`);
    }
  }
  return outcome;
}

describe('many writers', () => {
  it(`all succeed for ${WRITING_S} s`, { timeout: WRITING_S * 1000 + 120_000 }, async () => {
    const untilMs = Date.now() + WRITING_S * 1000;
    const progress = setInterval(() => {
      console.log(`many writers: ${Math.round((untilMs - Date.now()) / 60_000)} min to go`);
    }, PROGRESS_MS);
    const outcomes = await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer, untilMs)));
    clearInterval(progress);
    const sum = (of: (outcome: Outcome) => number): number => outcomes.reduce((so, one) => so + of(one), 0);
    console.log(
      `many writers: ${sum(({ changes }) => changes)} changes in ${WRITING_S} s; ${sum(({ late }) => late)} reads were late`,
    );
    expect(outcomes.flatMap(({ refusals }) => refusals)).toEqual([]);
    for (const rest of cluster.rest) {
      for (const { id, changes } of outcomes)
        await eventually(
          async () => ((await rest.call('GET', `/v2/images/${id}`)).json() as { min_ram: number }).min_ram,
          (value) => value === changes,
        );
    }
    expect(cluster.primary().stderr()).not.toMatch(/BUSY|is locked|sqld is restarted|sqld is down|a group failed/);
  });
});
