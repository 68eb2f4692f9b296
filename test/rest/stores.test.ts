/** Several stores through REST, in front of the services of the same process and by `oriel gateway`. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe } from 'vitest';
import { Metadata } from 'nice-grpc-common';
import { connect, type NodeClient } from '../../src/rpc/node-client.js';
import { startGateway } from '../support/gateway.js';
import type { TestNode } from '../support/node.js';
import { tempFolder } from '../support/temp-folder.js';
import { startTwoStores } from '../support/two-stores.js';
import type { Rest } from './rest.js';
import { RestCaller } from './rest-caller.js';
import { storeCases } from './store-cases.js';

let folder: Awaited<ReturnType<typeof tempFolder>>;
let node: TestNode;
let gateway: Awaited<ReturnType<typeof startGateway>>;
let client: NodeClient;

beforeAll(async () => {
  folder = await tempFolder('two-stores');
  node = await startTwoStores(folder.path);
  gateway = await startGateway([node]);
  client = connect({ node: node.grpcAddress, token: undefined }, new AbortController().signal);
});

afterAll(async () => {
  client.close();
  await gateway.stop();
  await node.stop();
  await folder.remove();
});

const admin = { metadata: Metadata({ 'x-auth-token': 'root:root:admin' }) };

describe.each([
  ['in process', () => node.httpUrl],
  ['by a gateway', () => gateway.url],
])('%s', (_name, url) => {
  const rest: Rest = {
    get url() {
      return url();
    },
    as(project = `project-${randomUUID()}`, roles = 'member') {
      return new RestCaller(this.url, project, roles);
    },
    get admin() {
      return this.as('admin-project', 'admin');
    },
  };
  storeCases(rest, async (imageId, store) => {
    await client.data.copyImage({ imageId, store }, admin);
  });
});
