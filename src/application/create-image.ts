import { asImageId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import type { Image } from '../domain/image.js';
import { type NewImage, newImage } from '../domain/new-image.js';
import type { CatalogContext } from './catalog-context.js';
import { findImage } from './find-image.js';
import { operationOf, usedForAnother } from './operation.js';

const CREATED = 'create ';

/** A new image, whose id and owner the caller may have left open. */
export type CreateImageRequest = Omit<NewImage, 'id' | 'owner'> & {
  readonly requestId: string;
  readonly id: string | undefined;
  /** undefined: the caller's project. */
  readonly owner: NewImage['owner'] | undefined;
};

/**
 * Creates an image record, queued. INVALID_ARGUMENT, FORBIDDEN, LIMIT_EXCEEDED: see newImage. ALREADY_EXISTS: the id is in
 * use or was used by an image that is deleted.
 */
export async function createImage(
  context: CatalogContext,
  caller: Caller,
  request: CreateImageRequest,
): Promise<Image> {
  const image = newImage(
    {
      ...request,
      id: chosenId(request.id ?? context.ids.uuid()),
      owner: request.owner === undefined ? caller.projectId : request.owner,
    },
    { caller, rules: context.rules, protection: context.protection, nowMs: context.clock.nowMs() },
  );
  const operation = operationOf(context.ids, caller, request.requestId, `${CREATED}${image.id}`);
  const written = await context.catalog.write([{ kind: 'insert-image', image }], {
    opId: operation.opId,
    subject: operation.subject,
  });
  return written.replayed ? earlier(context, caller, operation.opId) : image;
}

function chosenId(text: string): Image['id'] {
  const id = asImageId(text);
  if (id === undefined)
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `id must be a UUID such as ${'0'.repeat(8)}-0000-4000-8000-${'0'.repeat(12)}, got ${JSON.stringify(text)}`,
    );
  return id;
}

// The same request came twice: the first one made the image, under an id that this one cannot know.
async function earlier(context: CatalogContext, caller: Caller, opId: string): Promise<Image> {
  return context.catalog.read((reader) => {
    const subject = reader.operation(opId)?.subject ?? '';
    if (!subject.startsWith(CREATED)) throw usedForAnother();
    return findImage(reader, caller, subject.slice(CREATED.length));
  });
}
