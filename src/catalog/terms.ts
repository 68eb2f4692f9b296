/**
 * The terms of the list index: hashes of facts about an image. A term only leads to candidates; what it stands for is
 * checked again on the image, so a collision costs a row read and nothing else.
 */
import { hash } from 'node:crypto';
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
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'property'; readonly name: string; readonly value: string }
  | { readonly kind: 'disk-format'; readonly format: string }
  | { readonly kind: 'container-format'; readonly format: string };

/** The term of the fact, 48 bits: 47 of SHA-256, and the hidden bit last. */
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
  if (image.owner !== null) facts.push({ kind: 'owner', owner: image.owner, visibility: image.visibility });
  if (image.name !== null) facts.push({ kind: 'name', name: image.name });
  for (const tag of image.tags) facts.push({ kind: 'tag', tag });
  for (const [name, value] of image.properties) facts.push({ kind: 'property', name, value });
  return facts.map((fact) => termOf(fact, image.osHidden));
}

/** Further terms, indexed by creation only: filters on them are rare and seldom selective. */
export function creationTerms(image: Image): readonly number[] {
  if (UNLISTED_STATUSES.includes(image.status)) return [];
  const facts: Fact[] = [];
  if (image.diskFormat !== null) facts.push({ kind: 'disk-format', format: image.diskFormat });
  if (image.containerFormat !== null) facts.push({ kind: 'container-format', format: image.containerFormat });
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

function hash47(text: string): number {
  return Math.floor(Number.parseInt(hash('sha256', text, 'hex').slice(0, 12), 16) / 2);
}
