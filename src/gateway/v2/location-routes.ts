/** The locations API of version 2.17, and taking an image out of a store (reference §6.9.2, §6.13). */
import { ServiceError } from '../../base/service-error.js';
import type { ExpectedData } from '../../gen/oriel/catalog/v1/image_change.js';
import { type Answer, NO_CONTENT } from '../answer.js';
import type { Exchange } from '../exchange.js';
import { isJsonObject, kindOf, readJson } from '../json-body.js';
import type { Route } from '../route.js';
import { jsonLocation } from './image-json.js';
import { authenticatedInfo, type RouteContext } from '../route-context.js';
import { checkedUrl } from './location-patch.js';

/** Digits of the digests that may be expected, in hex. */
const HEX_DIGITS: ReadonlyMap<string, number> = new Map([
  ['md5', 32],
  ['sha1', 40],
  ['sha256', 64],
  ['sha512', 128],
]);

export function locationRoutes(context: RouteContext): readonly Route[] {
  const path = '/v2/images/:id/locations';
  return [
    { method: 'GET', path, body: 'none', handle: (exchange) => listLocations(context, exchange) },
    { method: 'POST', path, body: 'taken', handle: (exchange) => addLocation(context, exchange) },
    {
      method: 'DELETE',
      path: '/v2/stores/:store/:id',
      body: 'none',
      handle: (exchange) => removeFromStore(context, exchange),
    },
  ];
}

async function listLocations(context: RouteContext, exchange: Exchange): Promise<Answer> {
  const request = { imageId: exchange.param('id') };
  const { locations } = await context.backend.catalog.listImageLocations(request, exchange.call);
  const view = await authenticatedInfo(context, exchange.call);
  const list = locations.map((location) => jsonLocation(location, view));
  return { status: 200, body: JSON.stringify(list) };
}

async function addLocation(context: RouteContext, exchange: Exchange): Promise<Answer> {
  const body = await readJson(exchange, context.jsonLimits);
  if (!isJsonObject(body)) throw new ServiceError('INVALID_ARGUMENT', `expected an object, got ${kindOf(body)}`);
  const request = {
    imageId: exchange.param('id'),
    url: checkedUrl(body['url']),
    expected: expectedData(body['validation_data']),
    requestId: '',
  };
  await context.backend.catalog.addImageLocation(request, exchange.call);
  return { status: 202 };
}

function expectedData(value: unknown): ExpectedData | undefined {
  if (value === undefined) return undefined;
  if (!isJsonObject(value))
    throw new ServiceError('INVALID_ARGUMENT', `validation_data: expected an object, got ${kindOf(value)}`);
  const osHashAlgo = value['os_hash_algo'];
  const osHashValue = value['os_hash_value'];
  const digits = typeof osHashAlgo === 'string' ? HEX_DIGITS.get(osHashAlgo) : undefined;
  if (typeof osHashAlgo !== 'string' || digits === undefined)
    throw new ServiceError('INVALID_ARGUMENT', `os_hash_algo: expected one of ${[...HEX_DIGITS.keys()].join(', ')}`);
  if (typeof osHashValue !== 'string' || osHashValue.length !== digits || !/^[0-9a-fA-F]+$/.test(osHashValue))
    throw new ServiceError('INVALID_ARGUMENT', `os_hash_value: expected ${digits} hexadecimal digits`);
  return { checksum: '', osHashAlgo, osHashValue };
}

async function removeFromStore(context: RouteContext, exchange: Exchange): Promise<Answer> {
  const { multiStore } = await authenticatedInfo(context, exchange.call);
  if (!multiStore) throw new ServiceError('NOT_FOUND', 'Multi backend is not supported at this site.');
  const request = { imageId: exchange.param('id'), store: exchange.param('store'), requestId: '' };
  await context.backend.catalog.removeImageFromStore(request, exchange.call);
  return NO_CONTENT;
}
