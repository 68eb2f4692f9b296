/**
 * The terms of the list index: hashes of facts about an image. A term only leads to candidates; what it stands for is
 * checked again on the image, so a collision costs a row read and nothing else.
 */
import type { ProjectId } from '../base/brand.js';
import type { Image, ImageStatus, Visibility } from '../domain/image.js';
import { VISIBILITIES } from '../domain/image.js';
import type { MemberStatus } from '../domain/member.js';

/** Statuses that no list shows (Images API v2 §4.1: killed, deleted; pending_delete is deleted to every user). */
export const UNLISTED_STATUSES: readonly ImageStatus[] = ['killed', 'deleted', 'pending_delete'];

/** A fact that a list can be driven by. */
export type Fact =
  | { readonly kind: 'visibility'; readonly visibility: Visibility }
  | { readonly kind: 'owner'; readonly owner: ProjectId; readonly visibility: Visibility }
  | { readonly kind: 'member'; readonly projectId: ProjectId; readonly status: MemberStatus }
  | { readonly kind: 'status'; readonly status: string }
  | { readonly kind: 'protected'; readonly protected: boolean }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'property'; readonly name: string; readonly value: string }
  | { readonly kind: 'disk-format'; readonly format: string }
  | { readonly kind: 'container-format'; readonly format: string };

/** The term of the fact, 48 bits: 47 of its hash, and the hidden bit last. */
export function termOf(fact: Fact, hidden: boolean): number {
  return factHash(fact) * 2 + (hidden ? 1 : 0);
}

/** The 47-bit hash of the fact: its term without the hidden bit. */
export function factHash(fact: Fact): number {
  return hash47(JSON.stringify(partsOf(fact)));
}

/** The hash of an owner, kept in the index rows so that most rows that are not in scope are passed by unread. */
export function ownerHash(owner: string | null): number {
  return owner === null ? 0 : hash47(owner);
}

/** The number of a visibility in the index rows. */
export function visibilityNumber(visibility: Visibility): number {
  return VISIBILITIES.indexOf(visibility);
}

/** The terms by which lists in any order find the image; those of its members are not among them. */
export function orderedTerms(image: Image): readonly number[] {
  if (UNLISTED_STATUSES.includes(image.status)) return [];
  const facts: Fact[] = [
    { kind: 'visibility', visibility: image.visibility },
    { kind: 'status', status: image.status },
  ];
  // Few images are protected; the others have a term by creation only.
  if (image.protected) facts.push({ kind: 'protected', protected: true });
  if (image.owner !== null) facts.push({ kind: 'owner', owner: image.owner, visibility: image.visibility });
  if (image.name !== null) facts.push({ kind: 'name', name: image.name });
  for (const tag of image.tags) facts.push({ kind: 'tag', tag });
  for (const [name, value] of image.properties) facts.push({ kind: 'property', name, value });
  return facts.map((fact) => termOf(fact, image.osHidden));
}

/**
 * Further terms, indexed by creation only: filters on them are rare and seldom selective. Those that are selective are
 * read whole and sorted. No format has the term of an empty one, as it sorts.
 */
export function creationTerms(image: Image): readonly number[] {
  if (UNLISTED_STATUSES.includes(image.status)) return [];
  const facts: Fact[] = [
    { kind: 'disk-format', format: image.diskFormat ?? '' },
    { kind: 'container-format', format: image.containerFormat ?? '' },
  ];
  if (!image.protected) facts.push({ kind: 'protected', protected: false });
  return facts.map((fact) => termOf(fact, image.osHidden));
}

function partsOf(fact: Fact): readonly string[] {
  switch (fact.kind) {
    case 'visibility':
      return ['v', fact.visibility];
    case 'owner':
      return ['o', fact.owner, fact.visibility];
    case 'member':
      return ['m', fact.projectId, fact.status];
    case 'status':
      return ['s', fact.status];
    case 'protected':
      return ['x', String(fact.protected)];
    case 'name':
      return ['n', fact.name];
    case 'tag':
      return ['t', fact.tag];
    case 'property':
      return ['p', fact.name, fact.value];
    case 'disk-format':
      return ['d', fact.format];
    case 'container-format':
      return ['c', fact.format];
  }
}

/**
 * Two 32-bit multiply-and-xor lanes over the UTF-16 units, mixed at the end (the scheme of cyrb53), cut to 47 bits. Part
 * of the file's layout: never change it without a migration. Not cryptographic, and need not be: whoever makes texts
 * collide gets slower lists of those texts, never a wrong one. SHA-256 took 20 times as long, 40 times in an insert.
 */
function hash47(text: string): number {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    high = Math.imul(high ^ unit, 2654435761);
    low = Math.imul(low ^ unit, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return (low & 0x7fff) * 4294967296 + (high >>> 0);
}
