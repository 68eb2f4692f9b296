/** Images that are read where they lie: QEMU opens the TempURL of a real Swift while no node of ours runs. */
import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { open, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { Metadata } from 'nice-grpc-common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type NodeClient } from '../../src/rpc/node-client.js';
import { startNode, type TestNode } from '../support/node.js';
import { RestClient } from '../support/rest-client.js';
import { hasSwift, startSwift, SWIFT_START_MS, type TestSwift } from '../support/swift.js';
import { tempFolder } from '../support/temp-folder.js';
import { cleanEnvironment, hasTool } from '../support/tool.js';

const MIB = 1024 * 1024;
/** Larger than a part, so that the object in Swift is a large one. */
const DISK_BYTES = 24 * MIB;
const URL_KEY = randomBytes(24).toString('base64url');
const admin = { metadata: Metadata({ 'x-auth-token': 'root:root:admin' }) };

/** The driver is a package of its own. */
function hasCurlDriver(): boolean {
  if (!hasTool('qemu-img')) return false;
  try {
    execFileSync('qemu-img', ['info', 'http://127.0.0.1:9/'], { stdio: 'pipe' });
    return true;
  } catch (error) {
    return !String(error).includes('Unknown protocol');
  }
}

async function qemuImg(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('qemu-img', args, { env: cleanEnvironment(), timeout: 60_000 });
  return stdout;
}

describe.skipIf(!hasSwift() || !hasCurlDriver())('a direct URL', { timeout: 90_000 }, () => {
  let swift: TestSwift;
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let node: TestNode;
  let client: NodeClient;
  let rest: RestClient;
  const stopping: (() => Promise<void>)[] = [];
  const inFolder = (name: string): string => path.join(folder.path, name);

  const start = async (): Promise<void> => {
    node = await startNode({ dataDir: inFolder('data'), args: ['--config', inFolder('oriel.toml')] });
    rest = new RestClient(node.httpUrl);
    client = connect({ node: node.grpcAddress, token: undefined }, new AbortController().signal);
  };
  const stop = async (): Promise<void> => {
    client.close();
    await node.stop();
  };

  beforeAll(async () => {
    folder = await tempFolder('direct-url');
    stopping.push(folder.remove);
    swift = await startSwift();
    stopping.unshift(swift.stop);
    await swift.request('POST', '', { 'x-account-meta-temp-url-key': URL_KEY });
    await writeFile(inFolder('key'), swift.key, { mode: 0o600 });
    await writeFile(inFolder('url-key'), `${URL_KEY}\n`, { mode: 0o600 });
    await writeFile(
      inFolder('oriel.toml'),
      `[images]
show_direct_url = true
show_multiple_locations = true
[stores.fast]
path = "${inFolder('fast')}"
default = true
[stores.safe]
type = "swift"
auth_url = "${swift.authUrl}"
user = "${swift.user}"
key_file = "${inFolder('key')}"
container = "images"
auth_version = "1"
temp_url_key_file = "${inFolder('url-key')}"
`,
    );
    // A disk with data at its start, over the end of the first part, and at its end.
    const disk = await open(inFolder('disk.raw'), 'w');
    await disk.truncate(DISK_BYTES);
    for (const at of [0, 7 * MIB, 22 * MIB]) await disk.write(randomBytes(2 * MIB), 0, 2 * MIB, at);
    await disk.close();
    await qemuImg('convert', '-O', 'qcow2', inFolder('disk.raw'), inFolder('disk.qcow2'));
    await start();
  }, SWIFT_START_MS);
  afterAll(async () => {
    await stop();
    for (const end of stopping) await end();
  });

  /** An image in both stores, the folder first. */
  const newImage = async (format: string): Promise<string> => {
    const { id } = await rest.create({ name: format, disk_format: format, container_format: 'bare' });
    const bytes = new Uint8Array(await readFile(inFolder(`disk.${format}`)));
    expect((await rest.upload(id, bytes)).status).toBe(204);
    await client.data.copyImage({ imageId: id, store: 'safe' }, admin);
    return id;
  };

  it.each(['raw', 'qcow2'])('of a %s image is read by QEMU, and by no byte through a node', async (format) => {
    const id = await newImage(format);
    const url = (await rest.show(id)).direct_url ?? '';
    expect(url.startsWith(`${swift.url}/v1/AUTH_test/images/${id}/`)).toBe(true);
    await stop();
    const info: unknown = JSON.parse(await qemuImg('info', '--output=json', url));
    expect(info).toMatchObject({ format, 'virtual-size': DISK_BYTES });
    expect(await qemuImg('compare', '-f', format, '-F', 'raw', url, inFolder('disk.raw'))).toContain('identical');
    // One request at a time: with more, QEMU 7.2 waits for ever now and then, over curl and whatever serves.
    await qemuImg('convert', '-m', '1', '-f', format, '-O', 'raw', url, inFolder('converted'));
    expect((await readFile(inFolder('converted'))).equals(await readFile(inFolder('disk.raw')))).toBe(true);
    await start();
  });

  it('is shown to those who may see locations, on both ways in, and its key to nobody', async () => {
    const id = await newImage('raw');
    await rest.patch(id, [{ op: 'replace', path: '/visibility', value: 'public' }]);
    const shown = await rest.show(id);
    const { image } = await client.catalog.getImage({ id }, admin);
    expect(image?.directUrl).toBe(shown.direct_url);
    const { locations } = await client.catalog.listImageLocations({ imageId: id }, admin);
    expect(locations.map(({ store, directUrl }) => [store, directUrl])).toEqual([
      ['fast', undefined],
      ['safe', shown.direct_url],
    ]);
    // The URL that names the place is as it was: patches go by it.
    expect(locations[1]?.url).toBe(`swift+${swift.authUrl}/images/${id}/${locations[1]?.id ?? ''}.data`);
    const other = { headers: { 'x-auth-token': 'eve:eve:member' } };
    const seen = await rest.call('GET', `/v2/images/${id}`, undefined, other);
    expect(seen.status).toBe(200);
    expect(seen.text).not.toContain('temp_url');
    const detail = await rest.call('GET', '/v2/info/stores/detail');
    for (const text of [JSON.stringify(shown), seen.text, detail.text, node.stderr()])
      expect(text).not.toContain(URL_KEY);
    for (const name of await readdir(node.dataDir, { recursive: true, withFileTypes: true })) {
      if (!name.isFile()) continue;
      const bytes = await readFile(path.join(name.parentPath, name.name));
      expect([name.name, bytes.includes(URL_KEY), bytes.includes('temp_url_sig')]).toEqual([name.name, false, false]);
    }
  });
});
