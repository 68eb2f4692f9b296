/** `oriel cluster dev` leaves no process behind, whenever it is stopped. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { processesWith } from '../support/processes.js';
import { ORIEL_PROGRAM } from '../support/repository.js';
import { tempFolder } from '../support/temp-folder.js';
import { cleanEnvironment } from '../support/tool.js';

const LIMIT_MS = 60_000;

let folder: Awaited<ReturnType<typeof tempFolder>>;
let child: ChildProcess;

beforeEach(async () => {
  folder = await tempFolder('dev');
  const command = [ORIEL_PROGRAM, 'cluster', 'dev', '--nodes', '2', '--dir', `${folder.path}/cluster`];
  child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'], env: cleanEnvironment() });
});
afterEach(async () => {
  for (const pid of processesWith(folder.path)) process.kill(pid, 'SIGKILL');
  await folder.remove();
});

/** The processes of the cluster: of its nodes, and the one of sqld. */
const ofNodes = (name: string): readonly number[] => processesWith(`${folder.path}/cluster/${name}`);

async function ends(): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  // sqld ends after the authority when that was killed.
  await eventually(
    () => Promise.resolve(ofNodes('')),
    (left) => left.length === 0,
    LIMIT_MS,
  );
}

describe('a cluster to try', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'that gets %s twice while it starts leaves nothing',
    async (signal) => {
      await eventually(
        () => Promise.resolve(ofNodes('primary')),
        (pids) => pids.length > 0,
        LIMIT_MS,
      );
      child.kill(signal);
      child.kill(signal);
      await ends();
      expect(child.exitCode).toBe(130);
    },
    120_000,
  );

  it('whose edges hang is stopped all the same, the authority last and in order', async () => {
    if (child.stdout === null) throw new Error('no output');
    const lines = createInterface({ input: child.stdout });
    let ready = 0;
    lines.on('line', () => (ready += 1));
    await eventually(
      () => Promise.resolve(ready),
      (count) => count === 3,
      LIMIT_MS,
    );
    // The nodes alone: nothing ends a stopped check of a copy but whoever stopped it.
    for (const name of ['node1', 'node2'])
      for (const pid of processesWith('--primary').filter((pid) => ofNodes(name).includes(pid)))
        process.kill(pid, 'SIGSTOP');
    child.kill('SIGTERM');
    await ends();
    expect(child.exitCode).toBe(0);
  }, 180_000);
});
