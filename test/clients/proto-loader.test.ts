/** A client that knows nothing of our generated code: @grpc/grpc-js with services loaded from proto/ at run time. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startNode, type TestNode } from '../support/node.js';
import { REPOSITORY } from '../support/repository.js';

interface LooseImage {
  readonly id: string;
  readonly status: string;
  readonly checksum: string;
}

interface DownloadPart {
  readonly header?: { readonly size: string };
  readonly chunk?: Uint8Array;
}

type Client = grpc.Client & Record<string, (...args: readonly unknown[]) => unknown>;

let node: TestNode;
let catalog: Client;
let data: Client;

beforeAll(async () => {
  node = await startNode();
  const definition = loadSync(['oriel/catalog/v1/catalog_service.proto', 'oriel/data/v1/data_service.proto'], {
    includeDirs: [path.join(REPOSITORY, 'proto')],
    keepCase: true,
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  });
  catalog = connect(definition['oriel.catalog.v1.CatalogService']);
  data = connect(definition['oriel.data.v1.DataService']);
});

afterAll(async () => {
  catalog.close();
  data.close();
  await node.stop();
});

function connect(service: unknown): Client {
  const Constructor = grpc.makeGenericClientConstructor(service as grpc.ServiceDefinition, 'service');
  return new Constructor(node.grpcAddress, grpc.credentials.createInsecure()) as unknown as Client;
}

function unary<T>(client: Client, method: string, request: unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    client[method]?.(request, (error: grpc.ServiceError | null, answer: unknown) => {
      if (error === null) resolve(answer as T);
      else reject(error);
    });
  });
}

function upload(imageId: string, content: Uint8Array): Promise<{ readonly image: LooseImage }> {
  return new Promise((resolve, reject) => {
    const done = (error: grpc.ServiceError | null, answer: unknown): void => {
      if (error === null) resolve(answer as { readonly image: LooseImage });
      else reject(error);
    };
    const call = data['UploadImage']?.(done) as grpc.ClientWritableStream<unknown>;
    call.write({ header: { image_id: imageId, size: content.byteLength } });
    for (let start = 0; start < content.byteLength; start += 1024 * 1024) {
      call.write({ chunk: content.subarray(start, start + 1024 * 1024) });
    }
    call.end();
  });
}

it('creates, uploads, lists, downloads and deletes', async () => {
  const content = randomBytes(2 * 1024 * 1024 + 5);
  const { image } = await unary<{ readonly image: LooseImage }>(catalog, 'CreateImage', {
    request_id: randomUUID(),
    name: 'from proto-loader',
    disk_format: 'raw',
    container_format: 'bare',
  });
  expect(image.status).toBe('IMAGE_STATUS_QUEUED');

  const uploaded = await upload(image.id, content);
  expect(uploaded.image).toMatchObject({
    status: 'IMAGE_STATUS_ACTIVE',
    checksum: createHash('md5').update(content).digest('hex'),
  });

  const listed = await unary<{ readonly images: readonly LooseImage[] }>(catalog, 'ListImages', {});
  expect(listed.images.map((entry) => entry.id)).toContain(image.id);

  const parts: DownloadPart[] = [];
  for await (const part of data['DownloadImage']?.({ image_id: image.id }) as AsyncIterable<DownloadPart>)
    parts.push(part);
  expect(parts[0]?.header?.size).toBe(String(content.byteLength));
  expect(Buffer.concat(parts.slice(1).map((part) => part.chunk ?? new Uint8Array())).equals(content)).toBe(true);

  await unary(catalog, 'DeleteImage', { id: image.id, request_id: randomUUID() });
  await expect(unary(catalog, 'GetImage', { id: image.id })).rejects.toMatchObject({ code: grpc.status.NOT_FOUND });
});
