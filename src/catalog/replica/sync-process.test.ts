import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { objects, openReplica, ready, until } from '../../../test/support/replica.js';
import { SQLD_INSTALLED, Sqld } from '../../../test/support/sqld.js';
import type { ReplicaCatalog } from './replica-catalog.js';
import { SyncProcessHandle } from './sync-process-handle.js';
import type { SyncReport, SyncSettings } from './sync-protocol.js';

let directory: string;
let sqld: Sqld;
const servers: Server[] = [];
const handles: SyncProcessHandle[] = [];
const catalogs: ReplicaCatalog[] = [];

async function listening(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

function settings(name: string, syncUrl = sqld.url): SyncSettings {
  const [path, lockPath] = [join(directory, `${name}.db`), join(directory, 'lock')];
  return { path, lockPath, syncUrl, authToken: sqld.token('ro'), syncIntervalMs: 60_000 };
}

function start(reports: SyncReport[], what: SyncSettings): SyncProcessHandle {
  const handle = new SyncProcessHandle(undefined, {
    onReport: (report) => reports.push(report),
    onExit: () => undefined,
  });
  handles.push(handle);
  handle.send({ kind: 'start', settings: what, serial: 1 });
  return handle;
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!SQLD_INSTALLED)('the sync process', { timeout: 60_000 }, () => {
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'oriel-sync-'));
    sqld = await Sqld.start(directory);
    await sqld.migrate();
  });
  afterEach(async () => {
    for (const handle of handles.splice(0)) {
      handle.kill();
      await handle.exited();
    }
    for (const catalog of catalogs.splice(0)) await catalog.close();
    for (const server of servers.splice(0)) server.close();
  });
  afterAll(async () => {
    await sqld.close();
    rmSync(directory, { recursive: true });
  });

  test('answers demands that come together by one sync, and the lock lets in one process', async () => {
    const [reports, others]: [SyncReport[], SyncReport[]] = [[], []];
    const handle = start(reports, settings('one'));
    await until(
      () => reports.length,
      (length) => length === 1,
    );
    for (let serial = 2; serial <= 100; serial += 1) handle.send({ kind: 'sync-now', serial });
    await until(
      () => reports.at(-1),
      (report) => report?.serial === 100,
    );
    expect(reports.every(({ kind }) => kind === 'synced')).toBe(true);
    expect(reports.length).toBeLessThan(60);
    const other = start(others, settings('one'));
    await until(
      () => others[0],
      (report) => report !== undefined,
    );
    expect(others[0]).toMatchObject({ kind: 'failed', stage: 'lock' });
    handle.kill();
    await handle.exited();
    other.send({ kind: 'sync-now', serial: 2 });
    await until(
      () => others.at(-1),
      (report) => report?.kind === 'synced' && report.serial === 2,
    );
  });

  test('looks again soon after a sync that brought something, and else after the interval', async () => {
    const reports: SyncReport[] = [];
    start(reports, settings('news'));
    // The interval is a minute: the second report is for the first copy's sake.
    await until(
      () => reports.length,
      (length) => length === 2,
    );
    await pause(1000);
    expect(reports.map(({ kind }) => kind)).toEqual(['synced', 'synced']);
  });

  test('ends when it is told to', async () => {
    const reports: SyncReport[] = [];
    const handle = start(reports, settings('ends'));
    await until(
      () => reports.length,
      (length) => length === 1,
    );
    handle.send({ kind: 'close' });
    await handle.exited();
  });

  test('ends with its parent also when the primary hangs', async () => {
    const port = await listening(createServer((socket) => socket.on('error', () => undefined)));
    const what = settings('orphan', `http://127.0.0.1:${port}`);
    const module = new URL('./sync-process-handle.js', import.meta.url).href;
    const script = `
      const { SyncProcessHandle } = await import(${JSON.stringify(module)});
      const handle = new SyncProcessHandle(undefined, { onReport() {}, onExit() {} });
      handle.send({ kind: 'start', settings: ${JSON.stringify(what)}, serial: 1 });
      console.log(handle.pid);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const pid = await new Promise<number>((resolve) => parent.stdout.once('data', (text) => resolve(Number(text))));
    // It connects to the primary, and is then blocked for good.
    const hanging = servers[0];
    if (hanging !== undefined) await new Promise((resolve) => hanging.once('connection', resolve));
    expect(alive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await until(
      () => alive(pid),
      (lives) => !lives,
    );
  });

  test('trusts the authority of certificates that it is given, and no other', async () => {
    const openssl = (...args: string[]): Buffer => execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    writeFileSync(join(directory, 'ext'), 'subjectAltName = IP:127.0.0.1, DNS:localhost\n');
    openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=ca');
    openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=server');
    const authority = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
    openssl('x509', '-req', '-in', 'server.csr', ...authority, '-out', 'server.pem', '-days', '2', '-extfile', 'ext');
    const file = (name: string): Buffer => readFileSync(join(directory, name));
    // sqld has no TLS of its own: the authority stands in front of it.
    const front = createTlsServer({ key: file('server.key'), cert: file('server.pem') }, (incoming, outgoing) => {
      const { method, url, headers } = incoming;
      const onward = request(`${sqld.url}${url ?? ''}`, { method, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      onward.on('error', () => outgoing.destroy());
      incoming.pipe(onward);
    });
    const syncUrl = `https://localhost:${await listening(front)}`;
    const source = { syncUrl, authToken: sqld.token('ro') };
    const [trusting, other] = [
      await openReplica(sqld, join(directory, 'trusting'), {
        source: async () => await Promise.resolve({ ...source, caFile: join(directory, 'ca.pem') }),
      }),
      await openReplica(sqld, join(directory, 'other'), { source: async () => await Promise.resolve(source) }),
    ];
    catalogs.push(trusting, other);
    await ready(trusting);
    expect(await trusting.read(objects)).toBe(0);
    await until(
      () => other.status().message,
      (message) => message.includes('invalid peer certificate'),
    );
  });
});
