import { asImageId, type ImageId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import type { Image } from '../domain/image.js';
import { mayView } from '../domain/visibility.js';
import type { CatalogReader } from './ports/catalog.js';

/** Returns the image when the caller may see it. NOT_FOUND otherwise, the same for absent and invisible ones. */
export function findImage(reader: CatalogReader, caller: Caller, idText: string): Image {
  const id = asImageId(idText);
  const image = id === undefined ? undefined : reader.image(id);
  if (image === undefined || !mayView(caller, image, () => isMember(reader, caller, image.id)))
    throw imageNotFound(idText);
  return image;
}

/** The error for an image that is not there or not to be seen. */
export function imageNotFound(idText: string): ServiceError {
  return new ServiceError('NOT_FOUND', `No image found with ID ${idText}`);
}

/** Tells whether the caller's project is a member of the image, in any status. */
export function isMember(reader: CatalogReader, caller: Caller, id: ImageId): boolean {
  return caller.projectId !== null && reader.member(id, caller.projectId) !== undefined;
}
