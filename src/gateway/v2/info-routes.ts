import { ServiceError } from '../../base/service-error.js';
import type { Store, StoreDetail } from '../../gen/oriel/node/v1/node_service.js';
import type { Route } from '../route.js';
import { authenticatedInfo, type RouteContext } from '../route-context.js';
import { imageSchema, imagesSchema, MEMBER_SCHEMA, MEMBERS_SCHEMA } from './schemas.js';

/** What the service can do (reference §6.13) and the schemas of its documents (§7.6). */
export function infoRoutes(context: RouteContext): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v2/info/import',
      body: 'none',
      async handle(exchange) {
        const { response } = await authenticatedInfo(context, exchange.call);
        const methods = { description: 'Import methods available.', type: 'array', value: response.importMethods };
        return { status: 200, body: JSON.stringify({ 'import-methods': methods }) };
      },
    },
    {
      method: 'GET',
      path: '/v2/info/stores',
      body: 'none',
      async handle(exchange) {
        const { response, multiStore } = await authenticatedInfo(context, exchange.call);
        if (!multiStore) throw new ServiceError('NOT_FOUND', 'Multi backend is not supported at this site.');
        return { status: 200, body: JSON.stringify({ stores: response.stores.map(storeJson) }) };
      },
    },
    {
      method: 'GET',
      path: '/v2/info/stores/detail',
      body: 'none',
      async handle(exchange) {
        const { stores } = await context.backend.node.listStores({}, exchange.call);
        if (stores.length < 2) throw new ServiceError('NOT_FOUND', 'Multi backend is not supported at this site.');
        return { status: 200, body: JSON.stringify({ stores: stores.map(storeDetailJson) }) };
      },
    },
    schemaRoute(context, 'image', (info) => imageSchema(info)),
    schemaRoute(context, 'images', (info) => imagesSchema(info)),
    schemaRoute(context, 'member', () => MEMBER_SCHEMA),
    schemaRoute(context, 'members', () => MEMBERS_SCHEMA),
  ];
}

function schemaRoute(
  context: RouteContext,
  name: string,
  schema: (info: Parameters<typeof imageSchema>[0]) => object,
): Route {
  return {
    method: 'GET',
    path: `/v2/schemas/${name}`,
    body: 'none',
    async handle(exchange) {
      const { response, multiStore } = await authenticatedInfo(context, exchange.call);
      const { diskFormats, containerFormats } = response;
      return { status: 200, body: JSON.stringify(schema({ diskFormats, containerFormats, multiStore })) };
    },
  };
}

/** Flags are strings here, and absent when false. */
function storeJson(store: Store): object {
  return {
    id: store.id,
    description: store.description === '' ? undefined : store.description,
    default: store.default ? 'true' : undefined,
    'read-only': store.readOnly ? 'true' : undefined,
  };
}

function storeDetailJson({ store, weight, properties }: StoreDetail): object {
  if (store === undefined) throw new ServiceError('INTERNAL', 'ListStores answered without a store');
  return { ...storeJson(store), type: store.type, weight, properties: Object.fromEntries(properties) };
}
