import { asImageId } from '../base/brand.js';
import { failedWith, ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import type { Image } from '../domain/image.js';
import type { CatalogContext } from './catalog-context.js';
import { findImage, imageNotFound } from './find-image.js';
import { operationOf } from './operation-id.js';
import type { CatalogReader, Effect } from './ports/catalog.js';

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

// A guard fails only when another writer got in between; a caller who loses this often meets a bug, not bad luck.
const ATTEMPTS = 8;

/**
 * Reads an image, lets `decide` say what becomes of it, and writes that; decides anew when another writer came first.
 * With `expectVersion`, another version is VERSION_CONFLICT instead. NOT_FOUND: absent or invisible.
 */
export async function changeImage(
  context: CatalogContext,
  caller: Caller,
  request: ChangeRequest,
  decide: (image: Image, reader: CatalogReader) => Decision,
): Promise<Image> {
  const id = asImageId(request.id);
  if (id === undefined) throw imageNotFound(request.id);
  const operation = operationOf(context.ids, caller, request.requestId);

  const attempt = async (): Promise<Image> => {
    const decision = await context.catalog.read((reader) => {
      if (operation.repeatable && reader.operation(operation.opId) !== undefined) return replayed(reader, request.id);
      const image = findImage(reader, caller, request.id);
      checkVersion(image, request.expectVersion);
      return decide(image, reader);
    });
    if (decision.effects.length > 0)
      await context.catalog.write(decision.effects, { opId: operation.opId, subject: id });
    return decision.image;
  };

  return context.locks.run(id, async () => {
    for (let tries = 1; ; tries += 1) {
      try {
        return await attempt();
      } catch (error) {
        const lostRace = failedWith(error, 'VERSION_CONFLICT') && request.expectVersion === undefined;
        if (!lostRace || tries === ATTEMPTS) throw error;
      }
    }
  });
}

// The answer to a repeated request is the image as it is now; a repeated deletion finds the tombstone.
function replayed(reader: CatalogReader, idText: string): Decision {
  const id = asImageId(idText);
  const image = id === undefined ? undefined : reader.image(id);
  if (image === undefined) throw imageNotFound(idText);
  return { image, effects: [] };
}

function checkVersion(image: Image, expected: number | undefined): void {
  if (expected !== undefined && image.version !== expected)
    throw new ServiceError(
      'VERSION_CONFLICT',
      `image ${image.id} has version ${image.version}, not ${expected}: read it again and repeat the change`,
      { details: { expected: String(expected), found: String(image.version) } },
    );
}
