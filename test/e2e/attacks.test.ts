/** What a caller of bad will tries, against a real node and a gateway in front of it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Metadata } from 'nice-grpc-common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type NodeClient } from '../../src/rpc/node-client.js';
import { startNode, type TestNode } from '../support/node.js';
import { ORIEL_PROGRAM } from '../support/repository.js';
import { tempFolder } from '../support/temp-folder.js';

const as = (user: string): { metadata: Metadata } => ({
  metadata: Metadata({ 'x-auth-token': `${user}:${user}:member` }),
});

describe('a node', () => {
  let node: TestNode;
  let client: NodeClient;
  beforeAll(async () => {
    node = await startNode();
    client = connect({ node: node.grpcAddress, token: undefined }, new AbortController().signal);
  });
  afterAll(async () => {
    client.close();
    await node.stop();
  });
  const newImage = async (user: string): Promise<string> => {
    const { image } = await client.catalog.createImage(
      { name: 'mine', properties: new Map([['secret', 's']]) },
      as(user),
    );
    return image?.id ?? '';
  };

  it('does not open an image to a request id that was used for another', async () => {
    const hers = await newImage('bob');
    const used = { requestId: 'r1', changes: [] };
    await client.catalog.createImage({ name: 'own', requestId: 'r1' }, as('eve'));
    await expect(client.catalog.updateImage({ id: hers, ...used }, as('eve'))).rejects.toMatchObject({
      reason: 'INVALID_ARGUMENT',
    });
    await expect(client.catalog.deleteImage({ id: hers, requestId: 'r1' }, as('eve'))).rejects.toMatchObject({
      reason: 'INVALID_ARGUMENT',
    });
    expect((await client.catalog.getImage({ id: hers }, as('bob'))).image?.id).toBe(hers);
  });

  it('does a repeated request once, and a repeated deletion not at all', async () => {
    const first = await client.catalog.createImage({ name: 'once', requestId: 'r2' }, as('amy'));
    const again = await client.catalog.createImage({ name: 'once', requestId: 'r2' }, as('amy'));
    expect(again.image?.id).toBe(first.image?.id);
    const id = first.image?.id ?? '';
    await client.catalog.deleteImage({ id, requestId: 'r3' }, as('amy'));
    await client.catalog.deleteImage({ id, requestId: 'r3' }, as('amy'));
    await expect(client.catalog.deleteImage({ id }, as('amy'))).rejects.toMatchObject({ reason: 'NOT_FOUND' });
  });

  it('refuses thousands of changes and of filters at once', async () => {
    const id = await newImage('bob');
    const changes = Array.from({ length: 5000 }, (_, index) => ({
      change: {
        $case: 'property' as const,
        value: { name: `p${index}`, action: { $case: 'set' as const, value: '' } },
      },
    }));
    await expect(client.catalog.updateImage({ id, changes }, as('bob'))).rejects.toMatchObject({
      reason: 'LIMIT_EXCEEDED',
    });
    const tags = Array.from({ length: 1500 }, (_, index) => String(index));
    await expect(client.catalog.listImages({ filter: { tags } }, as('bob'))).rejects.toMatchObject({
      reason: 'INVALID_ARGUMENT',
    });
  });

  it('keeps the commands of nodes to nodes', async () => {
    const request = { imageId: await newImage('bob'), nodeId: 'n', store: 'file' };
    await expect(client.catalog.beginUpload(request, as('bob'))).rejects.toMatchObject({ reason: 'FORBIDDEN' });
  });
});

describe('a gateway on the socket of a node with tokens', () => {
  let node: TestNode;
  let gateway: ChildProcess;
  let url = '';
  const folder = tempFolder('attacks');
  beforeAll(async () => {
    const tokens = path.join((await folder).path, 'tokens');
    const config = path.join((await folder).path, 'oriel.toml');
    writeFileSync(tokens, '', { mode: 0o600 });
    writeFileSync(config, `[auth]\nmode = "token"\n[auth.token]\nfile = "${tokens}"\n`);
    node = await startNode({ args: ['--config', config] });
    const target = ['--node', `unix:${node.socketPath}`, '--node-http', node.httpUrl];
    gateway = spawn(process.execPath, [ORIEL_PROGRAM, 'gateway', '--http', '127.0.0.1:0', ...target], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (gateway.stdout === null) throw new Error('the gateway has no output');
    for await (const line of createInterface({ input: gateway.stdout })) {
      url = /http=(\S+)/.exec(line)?.[1] ?? '';
      break;
    }
  });
  afterAll(async () => {
    gateway.kill('SIGTERM');
    await once(gateway, 'exit');
    await node.stop();
    await (await folder).remove();
  });

  it('makes no host of a caller without a token', async () => {
    expect(await fetch(`${url}/v2/images`).then(({ status }) => status)).toBe(401);
  });
});
