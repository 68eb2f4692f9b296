/** TLS at both doors: certificates of the configured authority open gRPC and make their holders hosts. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CallerKind } from '../../src/gen/oriel/node/v1/node_service.js';
import { connect, type NodeAddress } from '../../src/rpc/node-client.js';
import { startNode, type TestNode } from '../support/node.js';
import { tempFolder } from '../support/temp-folder.js';

let folder: Awaited<ReturnType<typeof tempFolder>>;
let node: TestNode;
const file = (name: string): string => path.join(folder.path, name);

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', [...args], { cwd: folder.path, stdio: 'pipe' });
}

/** A certificate of the authority for the name. */
function issue(name: string): void {
  writeFileSync(file(`${name}.ext`), 'subjectAltName = DNS:localhost, IP:127.0.0.1\n');
  openssl(
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.csr`,
    '-subj',
    `/CN=${name}`,
  );
  const authority = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
  openssl(
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    ...authority,
    '-out',
    `${name}.pem`,
    '-days',
    '2',
    '-extfile',
    `${name}.ext`,
  );
}

beforeAll(async () => {
  folder = await tempFolder('tls');
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '2',
    '-subj',
    '/CN=ca',
  );
  issue('server');
  issue('compute-7');
  const tls = `cert_file = "${file('server.pem')}"\nkey_file = "${file('server.key')}"\nclient_ca_file = "${file('ca.pem')}"`;
  writeFileSync(
    file('oriel.toml'),
    `[tls]\n${tls}\n[auth]\nmode = "token"\n[auth.token]\nfile = "${file('tokens')}"\n`,
  );
  writeFileSync(file('tokens'), '', { mode: 0o600 });
  node = await startNode({ args: ['--config', file('oriel.toml')] });
});
afterAll(async () => {
  await node.stop();
  await folder.remove();
});

async function callerOver(address: Partial<NodeAddress>): Promise<unknown> {
  const client = connect({ node: node.grpcAddress, token: undefined, ...address }, new AbortController().signal);
  try {
    return await client.node.getCaller({});
  } finally {
    client.close();
  }
}

describe('TLS', () => {
  it('takes a client certificate of the authority for a host, by its name', async () => {
    const certificate = { ca: file('ca.pem'), cert: file('compute-7.pem'), key: file('compute-7.key') };
    expect(await callerOver(certificate)).toMatchObject({
      kind: CallerKind.HOST,
      userId: expect.stringContaining('compute-7') as string,
    });
  });

  it('refuses gRPC without a certificate, and without TLS', async () => {
    await expect(callerOver({ ca: file('ca.pem') })).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    await expect(callerOver({})).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
  });

  it('serves the Images API over HTTPS, to callers with a token only', async () => {
    expect(node.httpUrl).toMatch(/^https:/);
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const url = `${node.httpUrl}/v2/images`;
      https.get(url, { ca: readFileSync(file('ca.pem')) }, (answer) => resolve(answer.statusCode)).on('error', reject);
    });
    expect(status).toBe(401);
  });
});
