/** A store of a service that all nodes have under one name: each reads it by itself, and through another node when it cannot. */
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { startCluster, type TestCluster } from '../support/cluster.js';
import { freePort } from '../support/free-port.js';
import type { RestClient } from '../support/rest-client.js';
import { hasSwift, startSwift, SWIFT_START_MS, type TestSwift } from '../support/swift.js';
import { tempFolder } from '../support/temp-folder.js';

const BYTES = randomBytes(10 * 1024 * 1024 + 3);
const WHOLE = { status: 200, sizeBytes: BYTES.length, md5: createHash('md5').update(BYTES).digest('hex') };
/** The edge that wrote, one that reaches Swift as well, and one that does not. */
const [WRITER, READER, CUT] = [0, 1, 2];

describe.skipIf(!hasSwift())('a shared store', { timeout: 90_000 }, () => {
  let swift: TestSwift;
  let cluster: TestCluster;
  const stopping: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    const folder = await tempFolder('shared-stores');
    stopping.push(folder.remove);
    swift = await startSwift();
    stopping.unshift(swift.stop);
    const keyFile = path.join(folder.path, 'key');
    writeFileSync(keyFile, swift.key, { mode: 0o600 });
    const nowhere = `http://127.0.0.1:${await freePort()}/auth/v1.0`;
    const config = (name: string, authUrl: string, data: string): readonly string[] => {
      const file = path.join(folder.path, `${name}.toml`);
      const safe = `type = "swift"\nauth_url = "${authUrl}"\nuser = "${swift.user}"\nkey_file = "${keyFile}"\n`;
      const stores = `[stores.disk]\npath = "${data}/images"\ndefault = true\n[stores.safe]\n${safe}`;
      writeFileSync(
        file,
        `[cache]\nenabled = false\n[images]\nshow_multiple_locations = true\n${stores}container = "c"\nauth_version = "1"\n`,
      );
      return ['--config', file];
    };
    cluster = await startCluster(3, {
      nodeOptions: (node, dataDir) => ({
        args: config(String(node), node === CUT ? nowhere : swift.authUrl, dataDir),
      }),
    });
    stopping.unshift(() => cluster.stop());
  }, SWIFT_START_MS);
  afterAll(async () => {
    for (const stop of stopping) await stop();
  });

  const at = (index: number): RestClient => {
    const rest = cluster.rest[index];
    if (rest === undefined) throw new Error('no such edge');
    return rest;
  };

  it('is read without the node that wrote into it; a node that does not reach it reads through that node', async () => {
    const { id } = await at(WRITER).create({ disk_format: 'raw', container_format: 'bare' });
    const headers = { 'content-type': 'application/octet-stream', 'x-image-meta-store': 'safe' };
    const uploaded = await at(WRITER).call('PUT', `/v2/images/${id}/file`, BYTES, { headers });
    expect(uploaded.status).toBe(204);
    for (const index of [READER, CUT])
      await eventually(
        async () => (await at(index).call('GET', `/v2/images/${id}`)).text,
        (text) => text.includes('"status":"active"'),
      );
    expect(await at(CUT).digest(id)).toEqual(WHOLE);
    expect(cluster.edges[CUT]?.stderr()).toContain('location not readable, trying the next');
    const image = await at(READER).show(id);
    expect(image.locations?.map(({ url }) => url.split('/c/')[0])).toEqual([`swift+${swift.authUrl}`]);

    await cluster.killEdge(WRITER);
    expect(await at(READER).digest(id)).toEqual(WHOLE);
    expect((await at(CUT).call('GET', `/v2/images/${id}/file`)).status).toBe(503);
    // What is removed is the business of the node that made it: it goes when that one is back.
    expect((await at(READER).call('DELETE', `/v2/images/${id}`)).status).toBe(204);
    expect((await swift.list('c')).length).toBeGreaterThan(0);
    await cluster.startEdge(WRITER);
    await eventually(
      () => swift.list('c'),
      (names) => names.length === 0,
    );
  });
});
