import { failedWith, ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import type { Image } from '../domain/image.js';
import type { ImageQuery } from '../domain/image-query.js';
import type { MemberStatus } from '../domain/member.js';
import { authorize } from '../domain/policy.js';
import { listScope, type VisibilityFilter } from '../domain/visibility.js';
import type { CatalogContext } from './catalog-context.js';
import { findImage } from './find-image.js';

export type ListImagesRequest = Omit<ImageQuery, 'scope' | 'after' | 'limit'> & {
  readonly visibility: VisibilityFilter;
  readonly memberStatus: MemberStatus | 'all';
  /** The id of the last image of the page before; '': the first page. */
  readonly marker: string;
  /** undefined: the default page size. */
  readonly limit: number | undefined;
};

const FILTERS_MAX = 128;

/**
 * Returns a page of images, and whether it is full, so that more may follow. INVALID_ARGUMENT: the marker is no image that
 * the caller may see. FORBIDDEN: no role that may read.
 */
export async function listImages(
  context: CatalogContext,
  caller: Caller,
  request: ListImagesRequest,
): Promise<{ readonly images: readonly Image[]; readonly full: boolean }> {
  const { visibility, memberStatus, marker, limit: asked, ...filters } = request;
  authorize('get_images', caller, { owner: caller.projectId });
  checkFilterCount(filters);
  // A filter on a property that the caller may not read matches nothing (reference §9.3 PP2: it must not be an oracle).
  const readable = filters.properties.every(({ name }) => context.protection.allows('read', name, caller));
  const { pageSizeDefault, pageSizeMax } = context.rules.limits;
  const limit = readable ? Math.min(asked ?? pageSizeDefault, pageSizeMax) : 0;
  const after = marker === '' ? null : await visibleMarker(context, caller, marker);
  if (limit === 0) return { images: [], full: false };
  const images = await context.catalog.listImages({
    ...filters,
    scope: listScope(caller, visibility, memberStatus),
    after,
    limit,
  });
  return { images, full: images.length === limit };
}

// An invisible marker and an absent one get the same answer (reference §13 D6).
async function visibleMarker(context: CatalogContext, caller: Caller, marker: string): Promise<ImageQuery['after']> {
  try {
    return await context.catalog.read((reader) => findImage(reader, caller, marker).id);
  } catch (error) {
    if (!failedWith(error, 'NOT_FOUND')) throw error;
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `marker ${JSON.stringify(marker.slice(0, 64))} is not the id of an image that you can see`,
    );
  }
}

// Each becomes a term of one SQL condition, whose depth is bounded.
function checkFilterCount({ tags, properties, integers, times }: Omit<ImageQuery, 'scope' | 'after' | 'limit'>): void {
  const count = tags.length + properties.length + integers.length + times.length;
  if (count > FILTERS_MAX)
    throw new ServiceError('INVALID_ARGUMENT', `a list may have at most ${FILTERS_MAX} filters, got ${count}`);
}
