/** Mirrors over TLS: the certificate must be trusted and of the host of the URL (CVE-2013-4111), and there is no way down. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { startNode, type TestNode } from '../support/node.js';
import { type ObjectServer, startObjectServer } from '../support/object-server.js';
import { RestClient } from '../support/rest-client.js';
import { tempFolder } from '../support/temp-folder.js';

let folder: Awaited<ReturnType<typeof tempFolder>>;
let mirror: Server;
let plain: ObjectServer;
let node: TestNode;
let port = 0;
let location: string | undefined;
const names: unknown[] = [];

beforeAll(async () => {
  folder = await tempFolder('mirror-tls');
  const subject = ['-subj', '/CN=mirror', '-addext', 'subjectAltName = DNS:localhost'];
  const files = ['-keyout', 'key.pem', '-out', 'cert.pem'];
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2'];
  execFileSync('openssl', [...request, ...files, ...subject], { cwd: folder.path, stdio: 'pipe' });
  const read = (name: string): Buffer => readFileSync(path.join(folder.path, name));
  mirror = createServer({ key: read('key.pem'), cert: read('cert.pem') }, (incoming, response) => {
    names.push([incoming.headers.host, 'servername' in incoming.socket ? incoming.socket.servername : undefined]);
    if (location === undefined) response.writeHead(200, { 'content-length': 5 }).end('bytes');
    else response.writeHead(302, { location }).end();
  });
  await new Promise<void>((resolve) => mirror.listen(0, '127.0.0.1', resolve));
  port = (mirror.address() as AddressInfo).port;
  plain = await startObjectServer();
  plain.objects.set('/pub/a', Buffer.from('bytes'));
  await writeFile(
    path.join(folder.path, 'oriel.toml'),
    `[images]\ndo_secure_hash = false\n[import]\nallowed_ports = []\nallowed_hosts = ["localhost", "127.0.0.1"]\n` +
      `[stores.file]\npath = "${folder.path}/file"\n[stores.web]\ntype = "http"\n`,
  );
  node = await start({ NODE_EXTRA_CA_CERTS: path.join(folder.path, 'cert.pem') });
});
afterAll(async () => {
  await node.stop();
  await plain.close();
  mirror.closeAllConnections();
  await new Promise((resolve) => mirror.close(resolve));
  await folder.remove();
});
afterEach(() => {
  location = undefined;
  names.length = 0;
});

const start = (env: Readonly<Record<string, string>>): Promise<TestNode> =>
  startNode({ args: ['--config', path.join(folder.path, 'oriel.toml')], env });

async function add(to: TestNode, url: string): Promise<number> {
  const rest = new RestClient(to.httpUrl);
  const { id } = await rest.create({ disk_format: 'raw', container_format: 'bare' });
  const headers = { 'content-type': 'application/json' };
  return (await rest.call('POST', `/v2/images/${id}/locations`, JSON.stringify({ url }), { headers })).status;
}

it('takes a certificate of the host, which is asked for by its name', async () => {
  expect(await add(node, `https://localhost:${port}/a`)).toBe(202);
  expect(names[0]).toEqual([`localhost:${port}`, 'localhost']);
});

it('refuses a certificate of another host', async () => {
  expect(await add(node, `https://127.0.0.1:${port}/a`)).toBe(400);
  expect(names).toEqual([]);
});

it('refuses a certificate that nobody vouches for', async () => {
  const other = await start({});
  expect(await add(other, `https://localhost:${port}/a`)).toBe(400);
  await other.stop();
  expect(names).toEqual([]);
});

it('follows no redirect from https to http', async () => {
  location = `${plain.url}/pub/a`;
  expect(await add(node, `${plain.url}/pub/a`)).toBe(202);
  plain.requests.length = 0;
  expect(await add(node, `https://localhost:${port}/a`)).toBe(400);
  expect(plain.requests).toEqual([]);
});
