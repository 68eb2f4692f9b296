/**
 * The events of one operation as text, in `ops.events`: a JSON array of arrays, short, because each write of the cluster carries
 * it to every replica.
 *
 *   ["c", image, version, status]                           image-created
 *   ["u", image, version, status, owner, visibility]        image-updated; the last two, as before, only when they changed
 *   ["d", image, version, member…]                          image-deleted
 *   ["mc" or "mu", image, member, status]                   member-created, member-updated
 *   ["md", image, member]                                   member-deleted
 */
import type { Effect } from '../../application/ports/catalog.js';
import { asImageId, asProjectId, type ImageId } from '../../base/brand.js';
import { ServiceError } from '../../base/service-error.js';
import type { CatalogEvent } from '../../domain/catalog-event.js';
import { IMAGE_STATUSES, VISIBILITIES } from '../../domain/image.js';
import { MEMBER_STATUSES } from '../../domain/member.js';
import type { Sight } from '../../domain/visibility.js';

type Cell = string | number | null;

/** The events of the effects; null: there are none. */
export function eventText(effects: readonly Effect[]): string | null {
  const events = effects.flatMap(eventOf);
  return events.length === 0 ? null : JSON.stringify(events);
}

function eventOf(effect: Effect): readonly (readonly Cell[])[] {
  switch (effect.kind) {
    case 'insert-image':
      return [['c', effect.image.id, effect.image.version, effect.image.status]];
    case 'update-image': {
      const { before, after } = effect;
      // An image whose deletion is delayed is deleted to everyone, and new again when it comes back.
      if (after.status === 'pending_delete')
        return before.status === after.status ? [] : [['d', after.id, after.version, ...(effect.members ?? [])]];
      if (before.status === 'pending_delete') return [['c', after.id, after.version, after.status]];
      const same = before.owner === after.owner && before.visibility === after.visibility;
      const event = ['u', after.id, after.version, after.status];
      return [same ? event : [...event, before.owner, before.visibility]];
    }
    case 'delete-image':
      if (effect.before.status === 'pending_delete') return [];
      return [['d', effect.before.id, effect.before.version + 1, ...effect.members]];
    case 'insert-member':
      return [['mc', effect.member.imageId, effect.member.memberId, effect.member.status]];
    case 'update-member':
      return [['mu', effect.member.imageId, effect.member.memberId, effect.member.status]];
    case 'delete-member':
      return [['md', effect.imageId, effect.memberId]];
    case 'require-image':
    case 'insert-upload':
    case 'delete-upload':
    case 'add-garbage':
    case 'remove-garbage':
    case 'put-work':
    case 'remove-work':
    case 'put-node':
      return [];
  }
}

/**
 * Reads what `eventText` wrote. A kind that this release does not know is left out: a newer one wrote it. DATA_CORRUPT: it is no
 * such text.
 */
export function parseEvents(text: string): readonly CatalogEvent[] {
  const events: unknown = JSON.parse(text);
  if (!Array.isArray(events)) throw damaged(text);
  return events.flatMap((event: unknown) => {
    if (!Array.isArray(event)) throw damaged(text);
    return parseEvent(event, text);
  });
}

function parseEvent(cells: readonly unknown[], text: string): readonly CatalogEvent[] {
  const [kind] = cells;
  switch (kind) {
    case 'c':
      return [{ kind: 'image-created', ...imageFacts(cells, text), status: oneOf(IMAGE_STATUSES, cells[3], text) }];
    case 'u': {
      const status = oneOf(IMAGE_STATUSES, cells[3], text);
      return [{ kind: 'image-updated', ...imageFacts(cells, text), status, before: sightOf(cells, text) }];
    }
    case 'd':
      return [
        { kind: 'image-deleted', ...imageFacts(cells, text), members: cells.slice(3).map(String).map(asProjectId) },
      ];
    case 'mc':
    case 'mu': {
      const status = oneOf(MEMBER_STATUSES, cells[3], text);
      const known = { imageId: imageId(cells, text), memberId: asProjectId(String(cells[2])), status };
      return [{ kind: kind === 'mc' ? 'member-created' : 'member-updated', ...known }];
    }
    case 'md':
      return [{ kind: 'member-deleted', imageId: imageId(cells, text), memberId: asProjectId(String(cells[2])) }];
    default:
      return [];
  }
}

function imageFacts(cells: readonly unknown[], text: string): { readonly imageId: ImageId; readonly version: number } {
  const version = cells[2];
  if (typeof version !== 'number') throw damaged(text);
  return { imageId: imageId(cells, text), version };
}

function imageId(cells: readonly unknown[], text: string): ImageId {
  return asImageId(String(cells[1])) ?? fail(text);
}

function sightOf(cells: readonly unknown[], text: string): Sight | null {
  if (cells.length < 6) return null;
  const owner = cells[4];
  return {
    owner: typeof owner === 'string' ? asProjectId(owner) : null,
    visibility: oneOf(VISIBILITIES, cells[5], text),
  };
}

function oneOf<Word extends string>(words: readonly Word[], value: unknown, text: string): Word {
  return words.find((word) => word === value) ?? fail(text);
}

function fail(text: string): never {
  throw damaged(text);
}

function damaged(text: string): ServiceError {
  return new ServiceError('DATA_CORRUPT', `catalog: the stored events of a change are ${text.slice(0, 200)}`);
}
