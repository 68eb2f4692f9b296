import { ServiceError } from '../base/service-error.js';
import { MemberStatusScope, VisibilityScope } from '../gen/oriel/catalog/v1/image_filter.js';
import type { NodeClient } from '../rpc/node-client.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Returns the id of the image that is meant: an id as it is, else that of the one image with this name among all that the
 * caller may see, hidden and community ones too. NOT_FOUND: none. INVALID_ARGUMENT: several.
 */
export async function findImageId(client: NodeClient, given: string): Promise<string> {
  if (UUID.test(given)) return given;
  const ids: string[] = [];
  for (const osHidden of [false, true]) {
    const filter = { visibility: VisibilityScope.ALL, memberStatus: MemberStatusScope.ALL, names: [given], osHidden };
    const { images } = await client.catalog.listImages({ pageSize: 10, filter });
    ids.push(...images.map((image) => image.id));
  }
  const [only] = ids;
  if (only === undefined) {
    throw new ServiceError('NOT_FOUND', `No image that you may see has the id or the name ${JSON.stringify(given)}.`);
  }
  if (ids.length > 1) {
    const message = `Several images have the name ${JSON.stringify(given)}; give the id of one: ${ids.join(', ')}.`;
    throw new ServiceError('INVALID_ARGUMENT', message);
  }
  return only;
}
