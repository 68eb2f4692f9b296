import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server } from 'nice-grpc';
import { HealthDefinition, HealthServiceImpl } from 'nice-grpc-server-health';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CuttingProxy, startCuttingProxy } from '../../test/support/cutting-proxy.js';
import { AuthorityLink } from './authority-link.js';

let folder: string;
let server: Server;
let link: AuthorityLink;

const LOG = { info: () => undefined, warn: () => undefined, error: () => undefined };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oriel-link-'));
  const path = join(folder, 'grpc');
  // It knows no method of ours, and says so: that is an answer.
  server = createServer();
  server.add(HealthDefinition, HealthServiceImpl());
  await server.listen(`unix://${path}`);
  link = new AuthorityLink({ address: { node: `unix:${path}`, token: undefined }, sign: () => '', log: LOG });
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

test('calls that run when the way is shut end then, and say that their outcome is unknown', async () => {
  server.forceShutdown();
  const running = [link.run(never), link.run(never, 60_000)];
  for (const call of running)
    await expect(call).rejects.toMatchObject({
      reason: 'UNAVAILABLE',
      message: expect.stringContaining('whether the change was made is unknown') as string,
      details: { retry_after: '5' },
    });
}, 9000);

describe('over a network that drops packets', () => {
  let line: CuttingProxy;
  let far: AuthorityLink;
  let authority: Server;
  /** Connections that went through the proxy. */
  let made = 0;

  beforeEach(async () => {
    authority = createServer();
    authority.add(HealthDefinition, HealthServiceImpl());
    const port = await authority.listen('127.0.0.1:0');
    line = await startCuttingProxy({
      target: () => {
        made += 1;
        return { port };
      },
    });
    far = new AuthorityLink({ address: { node: line.address, token: undefined }, sign: () => '', log: LOG });
  });
  afterEach(async () => {
    far.close();
    authority.forceShutdown();
    await line.close();
  });

  const answered = (): Promise<unknown> => far.run(() => far.node.getServiceInfo({}));

  test('is shut by a silence of some seconds, and open again although the connection stays dead', async () => {
    await expect(answered()).rejects.toMatchObject({ reason: 'NOT_IMPLEMENTED' });
    for (let cut = 0; cut < 2; cut += 1) {
      line.cut('lose');
      await expect(answered()).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
      await expect(answered()).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
      // Those that are made meanwhile stay dead, too.
      const before = made;
      await expect.poll(() => made, { timeout: 30_000 }).toBeGreaterThan(before);
      expect(far.shutBecause).toContain('no answer came within');
      line.heal();
      await expect.poll(() => far.shutBecause, { timeout: 30_000 }).toBeUndefined();
      await expect(answered()).rejects.toMatchObject({ reason: 'NOT_IMPLEMENTED' });
    }
  }, 90_000);
});
