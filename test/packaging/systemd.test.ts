/** The units of systemd, as its own checker sees them. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { EXIT } from '../../src/cli/run-cli.js';
import { REPOSITORY } from '../support/repository.js';
import { runOriel } from '../support/oriel-command.js';
import { tempFolder } from '../support/temp-folder.js';
import { hasTool } from '../support/tool.js';

const UNITS = path.join(REPOSITORY, 'packaging/systemd');
const units = readdirSync(UNITS);

let folder: Awaited<ReturnType<typeof tempFolder>> | undefined;
afterEach(() => folder?.remove());

describe('the units', () => {
  it.skipIf(!hasTool('systemd-analyze'))('are without fault to systemd-analyze', async () => {
    folder = await tempFolder('units');
    for (const unit of units) {
      const text = readFileSync(path.join(UNITS, unit), 'utf8');
      // The checker wants a program that is there.
      writeFileSync(path.join(folder.path, unit), text.replace('/usr/bin/oriel ', '/bin/true '));
    }
    const files = units.map((unit) => path.join(folder?.path ?? '', unit));
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...files], { encoding: 'utf8' });
    // It also complains of other units that the machine has.
    const ours = stderr.split('\n').filter((line) => units.some((unit) => line.includes(unit)));
    expect([status, ours]).toEqual([0, []]);
  });

  it('are started again until what kept them from it is gone, but not when that does not help', () => {
    for (const unit of units) {
      const text = readFileSync(path.join(UNITS, unit), 'utf8');
      const setting = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1] ?? '';
      expect([unit, setting('Restart'), setting('StartLimitIntervalSec')]).toEqual([unit, 'on-failure', '0']);
      const conflicts = unit === 'oriel-gateway.service' ? [] : [EXIT.conflict];
      expect([unit, setting('RestartPreventExitStatus')]).toEqual([unit, [EXIT.usage, ...conflicts].join(' ')]);
      // Its sqld is never killed by systemd: every edge would copy the catalog anew.
      expect([unit, setting('KillMode')]).toEqual([unit, unit === 'oriel-primary.service' ? 'process' : 'mixed']);
    }
  });

  it('start commands that there are, with options that there are', async () => {
    expect(units.length).toBe(3);
    for (const unit of units) {
      const text = readFileSync(path.join(UNITS, unit), 'utf8');
      const [command = '', ...args] = /^ExecStart=\/usr\/bin\/oriel (.*)$/m.exec(text)?.[1]?.split(' ') ?? [];
      const { code, stdout } = await runOriel([command, '--help']);
      expect([unit, code]).toEqual([unit, 0]);
      for (const flag of args.filter((arg) => arg.startsWith('--'))) expect(stdout).toContain(flag);
    }
  });
});
