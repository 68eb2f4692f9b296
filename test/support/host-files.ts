/** A node that puts images into files beneath a folder of the test. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { connect, type NodeClient } from '../../src/rpc/node-client.js';
import type { MaterializedFile, MaterializeImageRequest } from '../../src/gen/oriel/data/v1/data_service.js';
import { startNode, type TestNode } from './node.js';
import { RestClient } from './rest-client.js';

export interface HostNode {
  readonly node: TestNode;
  readonly rest: RestClient;
  /** Over the unix socket: a compute host. */
  readonly host: NodeClient;
  /** Closes the client and stops the node. */
  stop(): Promise<void>;
}

/** What a test may leave out of a request. */
export type FileRequest = Pick<MaterializeImageRequest, 'imageId' | 'target'> & Partial<MaterializeImageRequest>;

export interface HostOptions {
  /** Added to its configuration. */
  readonly stores?: string;
  readonly roots?: readonly string[];
  /** Where its data lies; the folder unless told. */
  readonly data?: string;
  /** Runs before the program, in a mount namespace, say; then `host` comes by TCP, as an administrator. */
  readonly wrapper?: readonly string[];
}

/** Starts it over the folder, with `files` in there as the only root unless told. */
export async function startHostNode(folder: string, options: HostOptions = {}): Promise<HostNode> {
  const { stores = '', roots = [path.join(folder, 'files')], data = path.join(folder, 'data'), wrapper } = options;
  for (const root of roots) await mkdir(root, { recursive: true });
  const config = path.join(folder, 'oriel.toml');
  await writeFile(config, `[materialize]\nroots = ${JSON.stringify(roots)}\n${stores}`);
  const node = await startNode({
    ...{ dataDir: data, args: ['--config', config] },
    ...(wrapper === undefined ? {} : { wrapper }),
  });
  const address = wrapper === undefined ? `unix:${node.socketPath}` : node.grpcAddress;
  const host = connect({ node: address, token: undefined }, new AbortController().signal);
  return {
    node,
    rest: new RestClient(node.httpUrl),
    host,
    async stop() {
      host.close();
      await node.stop();
    },
  };
}

/** Puts the image into the file and returns what the node says of it at the end. */
export async function materialize(client: NodeClient, request: FileRequest): Promise<MaterializedFile> {
  let file: MaterializedFile | undefined;
  for await (const { part } of client.data.materializeImage(request)) if (part?.$case === 'file') file = part.value;
  if (file === undefined) throw new Error('the node answered without the file');
  return file;
}

/** The path as a target. */
export function at(file: string): NonNullable<MaterializeImageRequest['target']> {
  return { $case: 'path', value: file };
}
