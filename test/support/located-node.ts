/** A node with a file store and a read-only http store, and a mirror that it may fetch from. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Metadata } from 'nice-grpc-common';
import { connect, type NodeClient } from '../../src/rpc/node-client.js';
import { startNode, type TestNode } from './node.js';
import { type ObjectServer, startObjectServer } from './object-server.js';
import { type ImageDocument, type RestAnswer, RestClient } from './rest-client.js';
import { tempFolder } from './temp-folder.js';

export const FORMATS = { disk_format: 'raw', container_format: 'bare' };

export interface LocatedNode {
  readonly node: TestNode;
  readonly client: NodeClient;
  readonly mirror: ObjectServer;
  readonly folder: string;
  stop(): Promise<void>;
}

/**
 * Starts it with further tables of configuration; the mirror is an allowed host, others are not. Unless told, nobody reads data
 * that is added, so that images have neither digests nor a map.
 */
export async function startLocatedNode(
  options: { readonly more?: string; readonly secureHash?: boolean } = {},
): Promise<LocatedNode> {
  const folder = await tempFolder('located');
  const mirror = await startObjectServer();
  await mkdir(path.join(folder.path, 'data'));
  const config = path.join(folder.path, 'oriel.toml');
  await writeFile(
    config,
    `[images]\nshow_multiple_locations = true\ndo_secure_hash = ${String(options.secureHash ?? false)}\n` +
      `[import]\nallowed_ports = []\nallowed_hosts = ["${new URL(mirror.url).host}"]\n` +
      `[stores.fast]\npath = "${folder.path}/fast"\ndefault = true\nweight = 10\n` +
      `[stores.web]\ntype = "http"\n${options.more ?? ''}`,
  );
  const node = await startNode({ dataDir: path.join(folder.path, 'data'), args: ['--config', config] });
  const client = connect({ node: node.grpcAddress, token: undefined }, new AbortController().signal);
  return {
    ...{ node, client, mirror, folder: folder.path },
    stop: async () => {
      client.close();
      await node.stop();
      await mirror.close();
      await folder.remove();
    },
  };
}

/** A caller by the token `user:project:role`. */
export function callerOf({ node }: LocatedNode, role: string, user: string = role): RestClient {
  return new RestClient(node.httpUrl, { 'x-auth-token': `${user}:${user}:${role}` });
}

/** The same caller on gRPC. */
export function metadataOf(role: string, user: string = role): { readonly metadata: Metadata } {
  return { metadata: Metadata({ 'x-auth-token': `${user}:${user}:${role}` }) };
}

/** The three ways by which a location is added: the answer's status and text. */
export type AddLocation = (image: ImageDocument, url: string) => Promise<Pick<RestAnswer, 'status' | 'text'>>;

/** Both ways of the Images API. */
export function waysOf(rest: RestClient): readonly AddLocation[] {
  const headers = { 'content-type': 'application/json' };
  return [
    ({ id }, url) => rest.call('POST', `/v2/images/${id}/locations`, JSON.stringify({ url }), { headers }),
    ({ id }, url) => rest.patch(id, [{ op: 'add', path: '/locations/-', value: { url, metadata: {} } }]),
  ];
}
