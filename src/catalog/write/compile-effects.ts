/** Effects → statements. A write is these statements in order, all or none; no statement reads for another. */
import { assert } from '../../base/assert.js';
import type { Reason } from '../../base/error-table.js';
import type { Effect, Garbage } from '../../application/ports/catalog.js';
import { dataOf, type Image } from '../../domain/image.js';
import type { WorkName } from '../../domain/image-work.js';
import { MEMBER_STATUSES, type Member } from '../../domain/member.js';
import type { SqlValue } from '../connection.js';
import { valuesOf } from '../image-row.js';
import { candidateText } from '../image-work-row.js';
import { creationTerms, factHash, orderedTerms, ownerHash, UNLISTED_STATUSES, visibilityNumber } from '../terms.js';
import { LISTING_KEYS, type ListingKey, type StatementName } from './statements.js';

/** One statement of a write, and what its constraint means when it fails. */
export interface Step {
  readonly statement: StatementName;
  readonly values: readonly SqlValue[];
  readonly failure?: { readonly reason: Reason; readonly message: string };
}

/** The statements of the effects, in order. */
export function compileEffects(effects: readonly Effect[]): readonly Step[] {
  return effects.flatMap(compileEffect);
}

function compileEffect(effect: Effect): readonly Step[] {
  switch (effect.kind) {
    case 'insert-image':
      return insertImage(effect.image);
    case 'update-image':
      return replaceImage(effect.before, effect.after);
    case 'delete-image':
      return deleteImage(effect.before, effect.deletedAtMs);
    case 'require-image':
      return [
        {
          statement: 'guardVersion',
          values: [effect.id, effect.version],
          failure: conflict(`image ${effect.id} is no longer at version ${effect.version}: read it again and retry`),
        },
      ];
    case 'insert-member':
      return insertMember(effect.member);
    case 'update-member':
      return updateMember(effect.member);
    case 'delete-member':
      return [
        guardMember(effect.imageId, effect.memberId),
        ...unpostMember(effect.imageId, effect.memberId),
        { statement: 'deleteMember', values: [effect.imageId, effect.memberId] },
      ];
    case 'insert-upload': {
      const { uploadId, imageId, nodeId, storeId, key, mapKey, startedAtMs } = effect.upload;
      return [
        {
          statement: 'insertUpload',
          values: [uploadId, imageId, nodeId, storeId, key, mapKey, startedAtMs],
          failure: { reason: 'ALREADY_EXISTS', message: `an upload of image ${imageId} with this id exists` },
        },
      ];
    }
    case 'delete-upload':
      return [
        {
          statement: 'guardUpload',
          values: [effect.uploadId],
          failure: { reason: 'NOT_FOUND', message: 'the upload is not running: it was committed or aborted before' },
        },
        { statement: 'deleteUpload', values: [effect.uploadId] },
      ];
    case 'add-garbage':
      return [{ statement: 'addGarbage', values: garbageValues(effect.garbage) }];
    case 'remove-garbage':
      return [{ statement: 'removeGarbage', values: garbageValues(effect.garbage) }];
    case 'put-work':
      return [{ statement: 'putWork', values: [...workValues(effect.work), candidateText(effect.work)] }];
    case 'remove-work':
      return [{ statement: 'removeWork', values: workValues(effect.work) }];
    case 'put-node': {
      const { id, role, site, version, httpUrl, grpcAddress, stores, publicKey, seenAtMs } = effect.node;
      return [
        {
          statement: 'putNode',
          values: [id, role, site, version, httpUrl, grpcAddress, JSON.stringify(stores), publicKey, seenAtMs],
        },
      ];
    }
  }
}

function garbageValues({ nodeId, storeId, key }: Garbage): readonly SqlValue[] {
  return [nodeId ?? '', storeId, key];
}

function workValues({ nodeId, kind, imageId }: WorkName): readonly SqlValue[] {
  return [nodeId, kind, imageId];
}

function insertImage(image: Image): readonly Step[] {
  return [
    {
      statement: 'insertImage',
      values: valuesOf(image),
      failure: { reason: 'ALREADY_EXISTS', message: `image id ${image.id} is in use or was used by a deleted image` },
    },
    ...changeListings(undefined, image),
  ];
}

function replaceImage(before: Image, after: Image): readonly Step[] {
  assert(before.id === after.id, 'update-image keeps the id');
  assert(after.version === before.version + 1, 'update-image raises the version by one');
  const [, ...values] = valuesOf(after);
  return [
    guardImage(before),
    ...changeListings(before, after),
    { statement: 'updateImage', values: [...values, after.id] },
  ];
}

function deleteImage(before: Image, deletedAtMs: number): readonly Step[] {
  const tombstone: Image = {
    id: before.id,
    version: before.version + 1,
    name: before.name,
    owner: before.owner,
    visibility: before.visibility,
    protected: before.protected,
    osHidden: before.osHidden,
    diskFormat: before.diskFormat,
    containerFormat: before.containerFormat,
    minDiskGib: before.minDiskGib,
    minRamMib: before.minRamMib,
    createdAtMs: before.createdAtMs,
    updatedAtMs: deletedAtMs,
    tags: [],
    properties: new Map(),
    status: 'deleted',
    deletedAtMs,
  };
  return [...replaceImage(before, tombstone), { statement: 'deleteMembers', values: [before.id] }];
}

function guardImage(before: Image): Step {
  return {
    statement: 'guardImage',
    values: [before.id, before.version, before.status],
    failure: conflict(
      `image ${before.id} is no longer ${before.status} at version ${before.version}: read it again and retry`,
    ),
  };
}

/** Moves the image in the list index; what did not change its place or its terms is not touched. */
function changeListings(before: Image | undefined, after: Image): readonly Step[] {
  const old = before === undefined ? undefined : listingTermsOf(before);
  const next = listingTermsOf(after);
  return LISTING_KEYS.flatMap((key) =>
    changeListing(
      before === undefined || old === undefined ? undefined : placeOf(before, key, old),
      placeOf(after, key, next),
    ),
  );
}

function changeListing(old: Place | undefined, next: Place): readonly Step[] {
  if (old === undefined) return place('post', next, next.terms);
  if (old.members !== next.members || old.tail.some((value, index) => value !== next.tail[index])) {
    return [...place('unpost', old, old.terms), ...place('post', next, next.terms)];
  }
  // The members' rows stay where they are.
  return [
    ...place('unpost', { ...old, members: null }, without(old.terms, next.terms)),
    ...place('post', { ...next, members: null }, without(next.terms, old.terms)),
  ];
}

/** The terms of an image in the list index: those of every order, and those of the order by creation. */
export interface Terms {
  readonly ordered: ReadonlySet<number>;
  readonly creation: ReadonlySet<number>;
}

/** The terms that find the image, without those of its members. */
export function listingTermsOf(image: Image): Terms {
  const ordered = orderedTerms(image);
  return { ordered: new Set(ordered), creation: new Set([...ordered, ...creationTerms(image)]) };
}

interface Place {
  readonly key: ListingKey;
  readonly terms: ReadonlySet<number>;
  /** Hidden bit, created_at, key, id. */
  readonly head: readonly SqlValue[];
  /** The image's id when the terms of its members are listed too. */
  readonly members: SqlValue;
  /** All that a row of the index holds or depends on, to see whether the rows must move. */
  readonly tail: readonly SqlValue[];
  readonly hints: readonly SqlValue[];
}

function placeOf(image: Image, key: ListingKey, terms: Terms): Place {
  const hidden = image.osHidden ? 1 : 0;
  const head = [hidden, image.createdAtMs, listingKeyOf(image, key), image.id];
  const hints = [visibilityNumber(image.visibility), ownerHash(image.owner)];
  return {
    key,
    terms: key === 'created_at' ? terms.creation : terms.ordered,
    head,
    members: UNLISTED_STATUSES.includes(image.status) ? null : image.id,
    hints,
    tail: [...head, ...hints],
  };
}

/** What the image is sorted by in a table of the list index. */
export function listingKeyOf(image: Image, key: ListingKey): SqlValue {
  switch (key) {
    case 'created_at':
      return image.createdAtMs;
    case 'updated_at':
      return image.updatedAtMs;
    case 'name':
      return image.name ?? '';
    case 'size':
      return dataOf(image)?.sizeBytes ?? 0;
  }
}

function place(verb: 'post' | 'unpost', at: Place, terms: ReadonlySet<number>): readonly Step[] {
  if (terms.size === 0 && at.members === null) return [];
  const values = [JSON.stringify([...terms]), ...at.head, at.members];
  return [{ statement: `${verb}_${at.key}`, values: verb === 'post' ? [...values, ...at.hints] : values }];
}

function without(terms: ReadonlySet<number>, others: ReadonlySet<number>): ReadonlySet<number> {
  return new Set([...terms].filter((term) => !others.has(term)));
}

function insertMember(member: Member): readonly Step[] {
  const { imageId, memberId, status, createdAtMs, updatedAtMs } = member;
  const term = memberHash(member);
  return [
    {
      statement: 'insertMember',
      values: [imageId, memberId, status, term, createdAtMs, updatedAtMs],
      failure: { reason: 'ALREADY_EXISTS', message: `project ${memberId} is a member of image ${imageId} already` },
    },
    ...LISTING_KEYS.map((key): Step => ({ statement: `postMember_${key}`, values: [term, imageId] })),
  ];
}

function updateMember(member: Member): readonly Step[] {
  const { imageId, memberId, status, updatedAtMs } = member;
  const term = memberHash(member);
  return [
    guardMember(imageId, memberId),
    ...unpostMember(imageId, memberId),
    { statement: 'updateMember', values: [status, term, updatedAtMs, imageId, memberId] },
    ...LISTING_KEYS.map((key): Step => ({ statement: `postMember_${key}`, values: [term, imageId] })),
  ];
}

function guardMember(imageId: Member['imageId'], memberId: Member['memberId']): Step {
  return {
    statement: 'guardMember',
    values: [imageId, memberId],
    failure: { reason: 'NOT_FOUND', message: `project ${memberId} is not a member of image ${imageId}` },
  };
}

/** Whatever its status was: the effect does not say. */
function unpostMember(imageId: Member['imageId'], memberId: Member['memberId']): readonly Step[] {
  const hashes = MEMBER_STATUSES.map((status) => factHash({ kind: 'member', projectId: memberId, status }));
  return LISTING_KEYS.map(
    (key): Step => ({
      statement: `unpostMember_${key}`,
      values: [JSON.stringify(hashes), imageId],
    }),
  );
}

function memberHash(member: Member): number {
  return factHash({ kind: 'member', projectId: member.memberId, status: member.status });
}

function conflict(message: string): { readonly reason: Reason; readonly message: string } {
  return { reason: 'VERSION_CONFLICT', message };
}
