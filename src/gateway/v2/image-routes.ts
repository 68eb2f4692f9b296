import { ServiceError } from '../../base/service-error.js';
import type { Image } from '../../gen/oriel/catalog/v1/image.js';
import type { ImageChange } from '../../gen/oriel/catalog/v1/image_change.js';
import { type Answer, NO_CONTENT } from '../answer.js';
import type { Exchange } from '../exchange.js';
import { readJson } from '../json-body.js';
import type { Route } from '../route.js';
import { authenticatedInfo, type RouteContext } from '../route-context.js';
import type { ServiceInfo } from '../service-info.js';
import { parseCreateImageBody } from './create-image-body.js';
import { expectedVersion, VERSION_HEADER } from './expected-version.js';
import { parsePatch, patchDraft } from './image-patch.js';
import { isLocationStep, type LocationStep, resolveLocationSteps } from './location-patch.js';
import { parseListQuery } from './list-query.js';

/** Routes of images themselves: create, list, show, patch, delete, actions (reference §6.1–§6.5, §6.8). */
export function imageRoutes(context: RouteContext): readonly Route[] {
  return [
    { method: 'GET', path: '/v2/images', body: 'ignored', handle: (exchange) => listImages(context, exchange) },
    { method: 'POST', path: '/v2/images', body: 'taken', handle: (exchange) => createImage(context, exchange) },
    { method: 'GET', path: '/v2/images/:id', body: 'none', handle: (exchange) => showImage(context, exchange) },
    { method: 'PATCH', path: '/v2/images/:id', body: 'taken', handle: (exchange) => patchImage(context, exchange) },
    { method: 'DELETE', path: '/v2/images/:id', body: 'none', handle: (exchange) => deleteImage(context, exchange) },
    {
      method: 'POST',
      path: '/v2/images/:id/actions/deactivate',
      body: 'none',
      async handle(exchange) {
        await context.backend.catalog.deactivateImage({ id: exchange.param('id'), requestId: '' }, exchange.call);
        return NO_CONTENT;
      },
    },
    {
      method: 'POST',
      path: '/v2/images/:id/actions/reactivate',
      body: 'none',
      async handle(exchange) {
        await context.backend.catalog.reactivateImage({ id: exchange.param('id'), requestId: '' }, exchange.call);
        return NO_CONTENT;
      },
    },
  ];
}

async function listImages(context: RouteContext, exchange: Exchange): Promise<Answer> {
  const { request, linkQuery } = parseListQuery(exchange.rawQuery);
  const { images, nextPageToken } = await context.backend.catalog.listImages(request, exchange.call);
  const { renderer } = await context.serviceInfo.get(exchange.call);
  let texts = '';
  for (const image of images) texts += texts === '' ? renderer.text(image) : `,${renderer.text(image)}`;
  const first = linkQuery === '' ? '/v2/images' : `/v2/images?${linkQuery}`;
  let body = `{"images":[${texts}],"first":${JSON.stringify(first)},"schema":"/v2/schemas/images"`;
  if (nextPageToken !== '') {
    const next = `${first}${linkQuery === '' ? '?' : '&'}marker=${encodeURIComponent(nextPageToken)}`;
    body += `,"next":${JSON.stringify(next)}`;
  }
  return { status: 200, body: `${body}}` };
}

async function createImage(context: RouteContext, exchange: Exchange): Promise<Answer> {
  const request = parseCreateImageBody(await readJson(exchange, context.jsonLimits));
  const created = await context.backend.catalog.createImage(request, exchange.call);
  const image = present(created.image, 'CreateImage');
  const info = await context.serviceInfo.get(exchange.call);
  return {
    status: 201,
    headers: {
      Location: `${context.origin.of(exchange.request)}/v2/images/${image.id}`,
      [VERSION_HEADER]: String(image.version),
      ...capabilityHeaders(info),
    },
    body: info.renderer.text(image),
  };
}

/** What a client may do next with a new image (reference §6.1 "201 headers"). */
function capabilityHeaders(info: ServiceInfo): Record<string, string> {
  const headers: Record<string, string> = {};
  const { importMethods, stores } = info.response;
  if (importMethods.length > 0) headers['OpenStack-image-import-methods'] = importMethods.join(',');
  if (info.multiStore) headers['OpenStack-image-store-ids'] = stores.map(({ id }) => id).join(',');
  return headers;
}

async function showImage(context: RouteContext, exchange: Exchange): Promise<Answer> {
  const { image } = await context.backend.catalog.getImage({ id: exchange.param('id') }, exchange.call);
  return imageAnswer(context, exchange, present(image, 'GetImage'));
}

async function patchImage(context: RouteContext, exchange: Exchange): Promise<Answer> {
  const draft = patchDraft(exchange.contentType);
  const expectVersion = expectedVersion(exchange);
  const body = await readJson(exchange, context.jsonLimits);
  const { changes: steps, conflict } = parsePatch(body, draft);
  const id = exchange.param('id');
  if (conflict !== null) {
    // An image that is not there is told first (reference §8.2).
    await context.backend.catalog.getImage({ id }, exchange.call);
    throw conflict;
  }
  const changes = await resolved(context, exchange, steps);
  const request = { id, requestId: '', expectVersion, changes };
  const { image } = await context.backend.catalog.updateImage(request, exchange.call);
  return imageAnswer(context, exchange, present(image, 'UpdateImage'));
}

async function resolved(
  context: RouteContext,
  exchange: Exchange,
  steps: readonly (ImageChange | LocationStep)[],
): Promise<ImageChange[]> {
  const plain = steps.flatMap((step) => (isLocationStep(step) ? [] : [step]));
  if (plain.length === steps.length) return plain;
  const { response } = await authenticatedInfo(context, exchange.call);
  // Reference §6.9.1: without show_multiple_locations every change of the locations is 403.
  if (!response.showMultipleLocations)
    throw new ServiceError('FORBIDDEN', 'It is not allowed to change the locations of an image here.');
  const { image } = await context.backend.catalog.getImage({ id: exchange.param('id') }, exchange.call);
  return resolveLocationSteps(steps, present(image, 'GetImage'));
}

async function deleteImage(context: RouteContext, exchange: Exchange): Promise<Answer> {
  const request = { id: exchange.param('id'), requestId: '', expectVersion: expectedVersion(exchange) };
  await context.backend.catalog.deleteImage(request, exchange.call);
  return NO_CONTENT;
}

async function imageAnswer(context: RouteContext, exchange: Exchange, image: Image): Promise<Answer> {
  const { renderer } = await context.serviceInfo.get(exchange.call);
  return { status: 200, headers: { [VERSION_HEADER]: String(image.version) }, body: renderer.text(image) };
}

function present(image: Image | undefined, call: string): Image {
  if (image === undefined) throw new ServiceError('INTERNAL', `${call} answered without an image`);
  return image;
}
