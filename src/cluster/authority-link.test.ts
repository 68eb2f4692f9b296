import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server } from 'nice-grpc';
import { HealthDefinition, HealthServiceImpl } from 'nice-grpc-server-health';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AuthorityLink } from './authority-link.js';

let folder: string;
let server: Server;
let link: AuthorityLink;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oriel-link-'));
  const path = join(folder, 'grpc');
  // It knows no method of ours, and says so: that is an answer.
  server = createServer();
  server.add(HealthDefinition, HealthServiceImpl());
  await server.listen(`unix://${path}`);
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  link = new AuthorityLink({ address: { node: `unix:${path}`, token: undefined }, sign: () => '', log });
});

afterEach(async () => {
  link.close();
  server.forceShutdown();
  await rm(folder, { recursive: true });
});

const never = (): Promise<never> => new Promise(() => undefined);

test('a call that takes too long does not shut the way to an authority that answers', async () => {
  const calls = [link.run(never, 50), link.run(never, 60)];
  for (const call of calls) await expect(call).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
  for (let turn = 0; turn < 10; turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(link.shutBecause).toBeUndefined();
  }
  await expect(link.run(() => Promise.resolve('done'))).resolves.toBe('done');
});

test('it is shut when a probe is not answered either', async () => {
  server.forceShutdown();
  await expect(link.run(never, 50)).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
  await expect.poll(() => link.shutBecause, { timeout: 5000 }).toContain('no answer came within');
  await expect(link.run(() => Promise.resolve('done'))).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
});
