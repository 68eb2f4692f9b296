/** Who gets a data folder, when several processes want it at once. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readlinkSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tempFolder } from '../../test/support/temp-folder.js';
import { lockDataFolder } from './data-lock.js';

const RIVALS = 3;
const ROUNDS = 400;
/** No process has these: ids end at 2^22. */
const DEAD = '4194304 7';

let folder: Awaited<ReturnType<typeof tempFolder>>;
beforeEach(async () => {
  folder = await tempFolder('lock');
});
afterEach(() => folder.remove());

const lockIn = (name: string): string => path.join(folder.path, name, 'oriel.lock');

describe('a lock of a dead process', () => {
  it('is taken over by one of several processes, in each of many folders', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      mkdirSync(path.join(folder.path, String(round)));
      symlinkSync(DEAD, lockIn(String(round)));
    }
    const rivals = Array.from({ length: RIVALS }, startRival);
    try {
      // Each goes through the folders when all are there, a slot of time for each folder, and lives until all are through.
      await Promise.all(rivals.map(({ said }) => said('here')));
      for (const { child } of rivals) child.stdin?.write(`${Date.now() + 50}\n`);
      const got = (await Promise.all(rivals.map(({ said }) => said('got')))).flatMap((line) =>
        line.split(' ').slice(1),
      );
      expect(got.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: ROUNDS }, (_, round) => round));
      expect(readdirSync(path.join(folder.path, '0'))).toEqual(['oriel.lock']);
    } finally {
      for (const { child } of rivals) child.kill('SIGKILL');
    }
  }, 60_000);

  it('is taken over also when the one who was doing that died, too', async () => {
    mkdirSync(path.join(folder.path, 'node'));
    symlinkSync(DEAD, lockIn('node'));
    symlinkSync('4194305 8', `${lockIn('node')}.4194304-7`);
    const lock = await lockDataFolder(path.join(folder.path, 'node'));
    expect(readdirSync(path.join(folder.path, 'node'))).toEqual(['oriel.lock']);
    expect(readlinkSync(lockIn('node'))).toMatch(new RegExp(`^${process.pid} `));
    await expect(lockDataFolder(path.join(folder.path, 'node'))).rejects.toThrow(
      'another node runs on the data folder',
    );
    lock.release();
    expect(readdirSync(path.join(folder.path, 'node'))).toEqual([]);
  });

  it('is not touched while another one takes it over', async () => {
    mkdirSync(path.join(folder.path, 'node'));
    symlinkSync(DEAD, lockIn('node'));
    const other = await lockDataFolder(path.join(folder.path, 'other'));
    symlinkSync(readlinkSync(lockIn('other')), `${lockIn('node')}.4194304-7`);
    await expect(lockDataFolder(path.join(folder.path, 'node'))).rejects.toThrow(
      'another node runs on the data folder',
    );
    expect(readlinkSync(lockIn('node'))).toBe(DEAD);
    other.release();
  });
});

function startRival(): { readonly child: ChildProcess; readonly said: (word: string) => Promise<string> } {
  const code = `
    import { takeLock } from ${JSON.stringify(new URL('./data-lock.js', import.meta.url).href)};
    const got = [];
    process.stdin.once('data', (text) => {
      const startMs = Number(text);
      for (let round = 0; round < ${ROUNDS}; round += 1) {
        while (performance.timeOrigin + performance.now() < startMs + round);
        try {
          takeLock(${JSON.stringify(folder.path)} + '/' + round);
          got.push(round);
        } catch (error) {
          if (error.reason !== 'STATE_CONFLICT') throw error;
        }
      }
      console.log(['got', ...got].join(' '));
    });
    console.log('here');
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const heard: string[] = [];
  lines.on('line', (line) => heard.push(line));
  return {
    child,
    async said(word) {
      for (;;) {
        const line = heard.find((each) => each.startsWith(word));
        if (line !== undefined) return line;
        if (child.exitCode !== null) throw new Error(`a rival ended with ${child.exitCode}`);
        await Promise.race([once(lines, 'line'), once(child, 'exit')]);
      }
    },
  };
}
