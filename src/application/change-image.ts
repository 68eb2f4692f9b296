import { asImageId, type ImageId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import type { Image } from '../domain/image.js';
import type { CatalogContext } from './catalog-context.js';
import { findImage, imageNotFound } from './find-image.js';
import { operationOf, wasApplied } from './operation.js';
import type { CatalogReader, Effect } from './ports/catalog.js';
import { writeDecided } from './write-decided.js';

/** Which image changes, and against which version. */
export interface ChangeRequest {
  readonly id: string;
  /** '' when the caller named none. */
  readonly requestId: string;
  readonly expectVersion: number | undefined;
}

/** What is done to the image, in a word that tells one kind of request from another. */
export type ChangeName =
  | 'update'
  | 'delete'
  | 'deactivate'
  | 'reactivate'
  | 'upload'
  | 'copy'
  | 'repair'
  | 'restore'
  | 'add location'
  | `remove from ${string}`
  | `tag ${string}`
  | `untag ${string}`;

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
  request: ChangeRequest & { readonly change: ChangeName },
  decide: (image: Image, reader: CatalogReader) => Decision,
): Promise<Image> {
  const id = asImageId(request.id);
  if (id === undefined) throw imageNotFound(request.id);
  const operation = operationOf(context.ids, caller, request.requestId, `${request.change} ${id}`);
  return writeDecided(context, { id, operation, onlyOnce: request.expectVersion !== undefined }, (reader) => {
    if (wasApplied(reader, operation))
      return { result: asItIsNow(reader, caller, { id, change: request.change }), effects: [] };
    const before = findImage(reader, caller, id);
    checkVersion(before, request.expectVersion);
    const { image, effects } = decide(before, reader);
    return { result: image, effects };
  });
}

/**
 * Tells whether this very change was made before: changeImage answers with the image then, and nothing need be found out for it.
 * VERSION_CONFLICT: it was not, and the image has another version than the caller expects.
 */
export function isRepeated(
  context: Pick<CatalogContext, 'ids'>,
  reader: CatalogReader,
  caller: Caller,
  request: { readonly image: Image; readonly change: ChangeName } & Pick<ChangeRequest, 'requestId' | 'expectVersion'>,
): boolean {
  const { image, change, requestId, expectVersion } = request;
  if (wasApplied(reader, operationOf(context.ids, caller, requestId, `${change} ${image.id}`))) return true;
  checkVersion(image, expectVersion);
  return false;
}

// The answer to a repeated request is the image as it is now, if the caller may still see it; a repeated deletion finds the
// tombstone of what it deleted.
function asItIsNow(
  reader: CatalogReader,
  caller: Caller,
  { id, change }: { readonly id: ImageId; readonly change: ChangeName },
): Image {
  const tombstone = change === 'delete' ? reader.image(id) : undefined;
  return tombstone?.status === 'deleted' || tombstone?.status === 'pending_delete'
    ? tombstone
    : findImage(reader, caller, id);
}

function checkVersion(image: Image, expected: number | undefined): void {
  if (expected !== undefined && image.version !== expected)
    throw new ServiceError(
      'VERSION_CONFLICT',
      `image ${image.id} has version ${image.version}, not ${expected}: read it again and repeat the change`,
      { details: { expected: String(expected), found: String(image.version) } },
    );
}
