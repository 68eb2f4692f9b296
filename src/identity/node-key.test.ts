import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tempFolder } from '../../test/support/temp-folder.js';
import { hasTool } from '../../test/support/tool.js';
import { nodeKeyOf } from './node-key.js';

let folder: Awaited<ReturnType<typeof tempFolder>>;
beforeEach(async () => {
  folder = await tempFolder('node-key');
});
afterEach(() => folder.remove());

describe('the key of a node', () => {
  it('is made once, for the node alone', () => {
    const { publicKey } = nodeKeyOf(folder.path);
    expect(nodeKeyOf(folder.path).publicKey).toBe(publicKey);
    expect(readdirSync(folder.path)).toEqual(['node-key.pem']);
    expect(statSync(path.join(folder.path, 'node-key.pem')).mode & 0o777).toBe(0o600);
  });

  it.skipIf(!hasTool('prlimit'))('leaves nothing when there is no room for it, and is made once there is', () => {
    const module = JSON.stringify(new URL('./node-key.js', import.meta.url).href);
    const code = `import { nodeKeyOf } from ${module}; nodeKeyOf(${JSON.stringify(folder.path)});`;
    // Files are made and take no byte, as on a full disk.
    const limited = ['--fsize=0', process.execPath, '--input-type=module', '-e', code];
    const { status, stderr } = spawnSync('prlimit', limited, { encoding: 'utf8' });
    expect([status, stderr]).toEqual([1, expect.stringContaining('EFBIG')]);
    expect(readdirSync(folder.path)).toEqual([]);
    expect(nodeKeyOf(folder.path).publicKey).toContain('PUBLIC KEY');
  });
});
