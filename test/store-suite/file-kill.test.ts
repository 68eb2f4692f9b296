/** What a file store holds after the process that wrote to it was killed at any moment. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ObjectKey, asObjectKey, asStoreId } from '../../src/base/brand.js';
import { MIB } from '../../src/base/units.js';
import { openFileStore } from '../../src/stores/file/file-store.js';

const ROUNDS = 12;

/** Puts objects of 4 MiB, each filled with its number, one after the other, and says which are acknowledged. */
const WRITER = `
  const { openFileStore } = await import(process.argv[1]);
  const store = await openFileStore({ id: 'killed', path: process.argv[2] });
  for (let number = Number(process.argv[3]); ; number++) {
    const chunk = Buffer.alloc(1048576, number % 255 + 1);
    async function* source() { for (let turn = 0; turn < 4; turn++) yield chunk; }
    await store.put('object/' + number, source(), { signal: new AbortController().signal });
    process.stdout.write(number + '\\n');
  }
`;

let path: string;
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'oriel-kill-'));
});
afterEach(() => rm(path, { recursive: true }));

function key(number: number): ObjectKey {
  const parsed = asObjectKey(`object/${number}`);
  if (parsed === undefined) throw new Error(`not a key: ${number}`);
  return parsed;
}

test('an acknowledged object is whole, any other is whole or absent, and nothing temporary is left', async () => {
  const module = new URL('../../src/stores/file/file-store.js', import.meta.url).href;
  let next = 1;
  for (let round = 0; round < ROUNDS; round++) {
    const writer = spawn(process.execPath, ['--input-type=module', '-e', WRITER, module, path, String(next)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    writer.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      // The moment differs from round to round: after one to four acknowledgements and some steps of the event loop.
      if (output.split('\n').length - 1 > round % 4) setTimeout(() => writer.kill('SIGKILL'), round);
    });
    await once(writer, 'close');
    const acknowledged = output
      .split('\n')
      .filter((line) => line !== '')
      .map(Number);
    expect(acknowledged.length).toBeGreaterThan(0);
    const last = Math.max(...acknowledged);

    const store = await openFileStore({ id: asStoreId('killed'), path });
    expect(await readdir(join(path, 'tmp'))).toEqual([]);
    for (let number = next; number <= last + 1; number++) {
      const found = await store.stat(key(number));
      if (number <= last) expect(found).toEqual({ sizeBytes: 4 * MIB });
      if (found === undefined) continue;
      const expected = Buffer.alloc(MIB, (number % 255) + 1);
      for await (const chunk of store.read(key(number), { offsetBytes: 0, lengthBytes: 4 * MIB }, {})) {
        expect(expected.equals(chunk)).toBe(true);
      }
    }
    next = last + 2;
  }
});
