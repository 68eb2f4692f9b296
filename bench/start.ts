/** How long a node takes from its start to the line `ready`. Options: --rounds (5). */
import { startNode } from '../test/support/node.js';
import { tempFolder } from '../test/support/temp-folder.js';
import { benchOption, Report } from './support/report.js';

const ROUNDS = benchOption('rounds', 5);
const folder = await tempFolder('bench');

async function timeToReady(dataDir: string): Promise<number> {
  const startMs = performance.now();
  const node = await startNode({ dataDir });
  const tookMs = performance.now() - startMs;
  await node.stop();
  return tookMs;
}

try {
  const fresh: number[] = [];
  const again: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const dataDir = `${folder.path}/${round}`;
    fresh.push(await timeToReady(dataDir));
    again.push(await timeToReady(dataDir));
  }
  const report = new Report('start');
  report.add('start to ready, empty folder', 'ms', [{ subject: 'oriel', values: fresh }], '< 1000');
  report.add('start to ready, existing catalog', 'ms', [{ subject: 'oriel', values: again }], '< 1000');
  report.save();
} finally {
  await folder.remove();
}
