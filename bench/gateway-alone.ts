/**
 * The gateway by itself, in front of services that answer from memory: serves until it is ended. Measure from another
 * terminal, for example `wrk -c 32 -d 10 http://127.0.0.1:PORT/v2/images/6c1f4f6e-3d5f-4f0e-9d0c-0a6f5f1d2b11`.
 */
import { randomUUID } from 'node:crypto';
import { createGateway } from '../src/gateway/index.js';
import { ListImagesResponse } from '../src/gen/oriel/catalog/v1/catalog_service.js';
import { fakeBackend, fakeImage } from '../test/rest/fake-backend.js';

const backend = fakeBackend();
const image = fakeImage();
const page = ListImagesResponse.create({
  images: Array.from({ length: 25 }, () => fakeImage({ id: randomUUID() })),
  nextPageToken: image.id,
});
const shown = Promise.resolve({ image });
const listed = Promise.resolve(page);
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
const gateway = await createGateway(
  {
    ...backend,
    catalog: { ...backend.catalog, getImage: () => shown, listImages: () => listed },
  },
  {
    trustedProxies: [],
    log: silent,
    readyz: () => Promise.resolve({ ok: true, parts: [] }),
    metrics: () => Promise.resolve(''),
  },
);
const { port } = await gateway.listen('127.0.0.1', Number(process.argv[2] ?? 0));
console.log(`http://127.0.0.1:${port}`);
