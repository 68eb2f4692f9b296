import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import type { Image } from '../domain/image.js';
import { normalTags } from '../domain/image-values.js';
import { authorize } from '../domain/policy.js';
import type { CatalogContext } from './catalog-context.js';
import { type ChangeRequest, changeImage, type Decision } from './change-image.js';

type TagRequest = Omit<ChangeRequest, 'expectVersion'> & { readonly tag: string };

/** Adds a tag; an image that has it stays as it is. LIMIT_EXCEEDED: too many. Others: see changeImage. */
export async function addTag(context: CatalogContext, caller: Caller, request: TagRequest): Promise<Image> {
  return changeImage(
    context,
    caller,
    { ...request, change: `tag ${request.tag}`, expectVersion: undefined },
    (before) => {
      authorize('modify_image', caller, before);
      if (before.tags.includes(request.tag)) return { image: before, effects: [] };
      return withTags(context, before, normalTags([...before.tags, request.tag], context.rules.limits));
    },
  );
}

/** Removes a tag. NOT_FOUND: the image has no such tag. Others: see changeImage. */
export async function removeTag(context: CatalogContext, caller: Caller, request: TagRequest): Promise<Image> {
  return changeImage(
    context,
    caller,
    { ...request, change: `untag ${request.tag}`, expectVersion: undefined },
    (before) => {
      authorize('modify_image', caller, before);
      if (!before.tags.includes(request.tag))
        throw new ServiceError('NOT_FOUND', `image ${before.id} has no tag ${JSON.stringify(request.tag)}`);
      return withTags(
        context,
        before,
        before.tags.filter((tag) => tag !== request.tag),
      );
    },
  );
}

function withTags(context: CatalogContext, before: Image, tags: readonly string[]): Decision {
  const after: Image = { ...before, tags, version: before.version + 1, updatedAtMs: context.clock.nowMs() };
  return { image: after, effects: [{ kind: 'update-image', before, after }] };
}
