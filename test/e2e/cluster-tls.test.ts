/** A cluster whose nodes know each other by certificates of its own authority, made as an operator makes them. */
import { execFile } from 'node:child_process';
import { X509Certificate, randomBytes } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/rpc/node-client.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { type TestNode, startNode } from '../support/node.js';
import { ORIEL_PROGRAM } from '../support/repository.js';
import { tempFolder } from '../support/temp-folder.js';
import { cleanEnvironment } from '../support/tool.js';

let folder: Awaited<ReturnType<typeof tempFolder>>;
let syncPort: number;
let primary: TestNode;
let paris: TestNode;
let oslo: TestNode;

const file = (...parts: string[]): string => path.join(folder.path, ...parts);
const oriel = async (...args: string[]): Promise<string> =>
  (await promisify(execFile)(process.execPath, [ORIEL_PROGRAM, ...args], { env: cleanEnvironment() })).stdout;

function init(directory: string, ...names: string[]): Promise<string> {
  return oriel(
    'cluster',
    'init',
    '--dir',
    file(directory),
    ...names.flatMap((name) => ['--node', `${name}=127.0.0.1`]),
  );
}

/** The arguments of a node that has the folder `keys/NAME`. */
function argumentsOf(name: string, keys = 'keys'): string[] {
  const at = (what: string): string => JSON.stringify(file(keys, name, what));
  writeFileSync(
    file(`${name}.toml`),
    `[tls]\ncert_file = ${at('cert.pem')}\nkey_file = ${at('key.pem')}\n` +
      `[catalog]\nca_file = ${at('ca.pem')}\ncluster_key_file = ${at('cluster.key')}\n`,
  );
  return ['--config', file(`${name}.toml`), '--site', name];
}

beforeAll(async () => {
  folder = await tempFolder('cluster-tls');
  await init('keys', 'centre', 'paris');
  await init('keys', 'oslo');
  await init('foreign', 'paris');
  syncPort = await freePort();
  primary = await startNode({
    role: 'primary',
    dataDir: file('centre'),
    args: [...argumentsOf('centre'), '--sqld-port', String(syncPort)],
  });
  const edge = (name: string): Promise<TestNode> =>
    startNode({ dataDir: file(name), args: [...argumentsOf(name), '--primary', primary.grpcAddress] });
  [paris, oslo] = [await edge('paris'), await edge('oslo')];
}, 60_000);
afterAll(async () => {
  await Promise.all([paris.stop(), oslo.stop()]);
  await primary.stop();
  await folder.remove();
}, 60_000);

describe('a cluster with TLS', () => {
  it('copies the catalog, takes changes and passes bytes from node to node', async () => {
    const bytes = randomBytes(2_500_001);
    writeFileSync(file('image'), bytes);
    const node = ['--node', `unix:${paris.socketPath}`];
    const made = await oriel(
      'image',
      'create',
      'disk',
      '--file',
      file('image'),
      '--disk-format',
      'raw',
      '--json',
      ...node,
    );
    const { id } = JSON.parse(made) as { id: string };
    await eventually(
      () => oriel('image', 'show', id, '--json', '--node', `unix:${oslo.socketPath}`).catch(String),
      (shown) => shown.includes('"active"'),
    );
    await oriel('image', 'download', id, file('copy'), '--node', `unix:${oslo.socketPath}`);
    expect(readFileSync(file('copy')).equals(bytes)).toBe(true);
  });

  it('lets nobody copy the catalog without a token, or without TLS', async () => {
    const ca = readFileSync(file('keys', 'centre', 'ca.pem'));
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const body = JSON.stringify({ requests: [{ type: 'execute', stmt: { sql: 'select 1' } }] });
      https
        .request(`https://127.0.0.1:${syncPort}/v2/pipeline`, { ca, method: 'POST' }, (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        })
        .on('error', reject)
        .end(body);
    });
    expect(status).toBe(401);
    const plain = new Promise((resolve, reject) => {
      http.get(`http://127.0.0.1:${syncPort}/`, resolve).on('error', reject);
    });
    await expect(plain).rejects.toThrow(/socket hang up|ECONNRESET/);
  });

  it('is not believed by a node of another cluster', async () => {
    const { signal } = new AbortController();
    const stranger = connect(
      { node: primary.grpcAddress, token: undefined, ca: file('foreign', 'paris', 'ca.pem') },
      signal,
    );
    await expect(stranger.node.getServiceInfo({})).rejects.toMatchObject({
      reason: 'UNAVAILABLE',
      cause: { message: expect.stringMatching(/certificate/) as string },
    });
    stranger.close();
  });

  it('has certificates for the hosts that were named, and secrets for their owner alone', async () => {
    const certificate = new X509Certificate(readFileSync(file('keys', 'oslo', 'cert.pem')));
    const authority = new X509Certificate(readFileSync(file('keys', 'ca.pem')));
    expect(certificate.verify(authority.publicKey)).toBe(true);
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(certificate.checkIP('127.0.0.2')).toBeUndefined();
    expect(authority.ca).toBe(true);
    for (const secret of ['ca-key.pem', 'cluster.key', 'oslo/key.pem', 'oslo/cluster.key'])
      expect(statSync(file('keys', secret)).mode & 0o777).toBe(0o600);
    await expect(init('keys', 'oslo')).rejects.toThrow(/exists/);
    await expect(oriel('cluster', 'init', '--dir', file('keys'), '--node', 'x=a b')).rejects.toThrow(/host name/);
    await expect(oriel('cluster', 'init', '--dir', file('keys'), '--node', '../x=h')).rejects.toThrow(/NAME=HOST/);
  });

  it('shuts out the old authority after a promotion, and takes an edge over to the new one', async () => {
    const images = (node: TestNode): Promise<string> => oriel('image', 'list', '--node', `unix:${node.socketPath}`);
    const created = (node: TestNode, name: string): Promise<string> =>
      oriel('image', 'create', name, '--node', `unix:${node.socketPath}`).then(
        () => 'created',
        (error: unknown) => String(error),
      );
    expect(await created(paris, 'before')).toBe('created');
    await eventually(
      () => images(paris),
      (list) => list.includes('before'),
    );
    await primary.kill('SIGKILL');
    await paris.kill('SIGTERM');
    await oslo.kill('SIGTERM');
    await oriel('catalog', 'promote', '--yes', '--data', file('paris'));
    const promoted = await startNode({
      ...{ role: 'primary', dataDir: file('paris') },
      args: [...argumentsOf('paris'), '--grpc', paris.grpcAddress],
    });
    expect(await created(promoted, 'after')).toBe('created');
    // The old one asks the nodes that it knows, by their certificates, before it serves.
    await expect(startNode({ role: 'primary', dataDir: file('centre'), args: argumentsOf('centre') })).rejects.toThrow(
      /replaced by another/,
    );
    oslo = await startNode({
      dataDir: file('oslo'),
      args: [...argumentsOf('oslo'), '--primary', promoted.grpcAddress],
    });
    await eventually(
      () => images(oslo),
      (list) => list.includes('after'),
    );
    primary = promoted;
  }, 60_000);
});
