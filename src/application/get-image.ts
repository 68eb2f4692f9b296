import type { Caller } from '../domain/caller.js';
import type { Image } from '../domain/image.js';
import { authorize } from '../domain/policy.js';
import type { CatalogContext } from './catalog-context.js';
import { findImage } from './find-image.js';

/** Returns an image by id. NOT_FOUND: absent or invisible. FORBIDDEN: no role that may read. */
export async function getImage(context: CatalogContext, caller: Caller, id: string): Promise<Image> {
  return context.catalog.read((reader) => {
    const image = findImage(reader, caller, id);
    authorize('get_image', caller, image);
    return image;
  });
}
