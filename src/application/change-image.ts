import { asImageId, type ImageId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import type { Image } from '../domain/image.js';
import type { CatalogContext } from './catalog-context.js';
import { findImage, imageNotFound } from './find-image.js';
import { operationOf } from './operation-id.js';
import type { CatalogReader, Effect } from './ports/catalog.js';
import { type Decided, writeDecided } from './write-decided.js';

/** Whose change, of which image, and against which version. */
export interface ChangeRequest {
  readonly id: string;
  /** '' when the caller named none. */
  readonly requestId: string;
  readonly expectVersion: number | undefined;
}

/** What a use case decided: the image as it will be and the effects; no effects: nothing to write. */
export interface Decision {
  readonly image: Image;
  readonly effects: readonly Effect[];
}

/**
 * Reads an image, lets `decide` say what becomes of it, and writes that. With `expectVersion`, another version is
 * VERSION_CONFLICT; without, another writer in between only makes it decide anew. NOT_FOUND: absent or invisible.
 */
export async function changeImage(
  context: CatalogContext,
  caller: Caller,
  request: ChangeRequest,
  decide: (image: Image, reader: CatalogReader) => Decision,
): Promise<Image> {
  const id = asImageId(request.id);
  if (id === undefined) throw imageNotFound(request.id);
  const { opId, repeatable } = operationOf(context.ids, caller, request.requestId);
  return writeDecided(context, { id, opId, onlyOnce: request.expectVersion !== undefined }, (reader) => {
    if (repeatable && reader.operation(opId) !== undefined) return replayed(reader, id);
    const before = findImage(reader, caller, id);
    checkVersion(before, request.expectVersion);
    const { image, effects } = decide(before, reader);
    return { result: image, effects };
  });
}

// The answer to a repeated request is the image as it is now; a repeated deletion finds the tombstone.
function replayed(reader: CatalogReader, id: ImageId): Decided<Image> {
  const image = reader.image(id);
  if (image === undefined) throw imageNotFound(id);
  return { result: image, effects: [] };
}

function checkVersion(image: Image, expected: number | undefined): void {
  if (expected !== undefined && image.version !== expected)
    throw new ServiceError(
      'VERSION_CONFLICT',
      `image ${image.id} has version ${image.version}, not ${expected}: read it again and repeat the change`,
      { details: { expected: String(expected), found: String(image.version) } },
    );
}
