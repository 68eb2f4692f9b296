/** A node whose only store is an S3 bucket elsewhere, which counts what it sends. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { startCountingProxy } from './counting-proxy.js';
import { startNode, type TestNode } from './node.js';
import { type ObjectServer, startObjectServer } from './object-server.js';

export interface FarStore {
  readonly server: ObjectServer;
  /** Bytes that were fetched from it, those of answers that were cut off too. */
  bytes(): number;
  /** Starts a node over the folder, which keeps its data. */
  startNode(dataDir: string, cache?: Readonly<Record<string, string | boolean>>): Promise<TestNode>;
  close(): Promise<void>;
}

export async function startFarStore(folder: string): Promise<FarStore> {
  await mkdir(folder, { recursive: true });
  const keys = path.join(folder, 'keys');
  await writeFile(keys, 'aws_access_key_id = a\naws_secret_access_key = b\n', { mode: 0o600 });
  const server = await startObjectServer();
  const proxy = await startCountingProxy(Number(new URL(server.url).port));
  return {
    server,
    bytes: () => proxy.bytes(),
    async startNode(dataDir, cache = {}) {
      const config = path.join(folder, `${path.basename(dataDir)}.toml`);
      const options = Object.entries(cache).map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`);
      const store = `type = "s3"\nendpoint = "http://127.0.0.1:${proxy.port}"\nbucket = "bucket"\nregion = "here"\n`;
      await writeFile(config, `[stores.far]\n${store}credentials_file = "${keys}"\n[cache]\n${options.join('')}`);
      return startNode({ dataDir, args: ['--config', config] });
    },
    async close() {
      await proxy.close();
      await server.close();
    },
  };
}
