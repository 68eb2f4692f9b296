/** The words of the domain and those of the wire, side by side. */
import { ServiceError } from '../base/service-error.js';
import type { ImageStatus, Visibility } from '../domain/image.js';
import type { IntegerRange, SortField, TimeMatch } from '../domain/image-query.js';
import type { Damage, DigestState, Finding } from '../domain/location.js';
import type { MemberStatus } from '../domain/member.js';
import type { VisibilityFilter } from '../domain/visibility.js';
import {
  ImageStatus as StatusMessage,
  ImageVisibility,
  LocationDigestState,
  MemberStatus as MemberStatusMessage,
} from '../gen/oriel/catalog/v1/image.js';
import {
  IntegerField,
  MemberStatusScope,
  SortField as SortFieldMessage,
  TimeField,
  TimeOperator,
  VisibilityScope,
} from '../gen/oriel/catalog/v1/image_filter.js';

export const STATUS_TO_WIRE = {
  queued: StatusMessage.QUEUED,
  saving: StatusMessage.SAVING,
  uploading: StatusMessage.UPLOADING,
  importing: StatusMessage.IMPORTING,
  active: StatusMessage.ACTIVE,
  deactivated: StatusMessage.DEACTIVATED,
  killed: StatusMessage.KILLED,
  pending_delete: StatusMessage.PENDING_DELETE,
  deleted: StatusMessage.DELETED,
} as const satisfies Record<ImageStatus, StatusMessage>;

export const VISIBILITY_TO_WIRE = {
  public: ImageVisibility.PUBLIC,
  private: ImageVisibility.PRIVATE,
  shared: ImageVisibility.SHARED,
  community: ImageVisibility.COMMUNITY,
} as const satisfies Record<Visibility, ImageVisibility>;

export const MEMBER_STATUS_TO_WIRE = {
  pending: MemberStatusMessage.PENDING,
  accepted: MemberStatusMessage.ACCEPTED,
  rejected: MemberStatusMessage.REJECTED,
} as const satisfies Record<MemberStatus, MemberStatusMessage>;

export const DIGEST_STATE_TO_WIRE = {
  verified: LocationDigestState.VERIFIED,
  unverified: LocationDigestState.UNVERIFIED,
  damaged: LocationDigestState.DAMAGED,
  missing: LocationDigestState.MISSING,
} as const satisfies Record<DigestState | Damage, LocationDigestState>;

/** The word for what was found in a report. */
export function findingToWire(found: Finding): LocationDigestState {
  return DIGEST_STATE_TO_WIRE[found === 'whole' ? 'verified' : found];
}

const VISIBILITIES: ReadonlyMap<ImageVisibility, Visibility> = new Map([
  [ImageVisibility.PUBLIC, 'public'],
  [ImageVisibility.PRIVATE, 'private'],
  [ImageVisibility.SHARED, 'shared'],
  [ImageVisibility.COMMUNITY, 'community'],
]);

const SCOPES: ReadonlyMap<VisibilityScope, VisibilityFilter> = new Map([
  [VisibilityScope.UNSPECIFIED, 'default'],
  [VisibilityScope.PUBLIC, 'public'],
  [VisibilityScope.PRIVATE, 'private'],
  [VisibilityScope.SHARED, 'shared'],
  [VisibilityScope.COMMUNITY, 'community'],
  [VisibilityScope.ALL, 'all'],
]);

const MEMBER_SCOPES: ReadonlyMap<MemberStatusScope, MemberStatus | 'all'> = new Map([
  [MemberStatusScope.UNSPECIFIED, 'accepted'],
  [MemberStatusScope.ACCEPTED, 'accepted'],
  [MemberStatusScope.PENDING, 'pending'],
  [MemberStatusScope.REJECTED, 'rejected'],
  [MemberStatusScope.ALL, 'all'],
]);

const MEMBER_STATUSES: ReadonlyMap<MemberStatusMessage, MemberStatus> = new Map([
  [MemberStatusMessage.PENDING, 'pending'],
  [MemberStatusMessage.ACCEPTED, 'accepted'],
  [MemberStatusMessage.REJECTED, 'rejected'],
]);

const SORT_FIELDS: ReadonlyMap<SortFieldMessage, SortField> = new Map([
  [SortFieldMessage.NAME, 'name'],
  [SortFieldMessage.STATUS, 'status'],
  [SortFieldMessage.CONTAINER_FORMAT, 'container_format'],
  [SortFieldMessage.DISK_FORMAT, 'disk_format'],
  [SortFieldMessage.SIZE, 'size'],
  [SortFieldMessage.ID, 'id'],
  [SortFieldMessage.CREATED_AT, 'created_at'],
  [SortFieldMessage.UPDATED_AT, 'updated_at'],
]);

const INTEGER_FIELDS: ReadonlyMap<IntegerField, IntegerRange['field']> = new Map([
  [IntegerField.SIZE, 'size'],
  [IntegerField.VIRTUAL_SIZE, 'virtual_size'],
  [IntegerField.MIN_RAM, 'min_ram'],
  [IntegerField.MIN_DISK, 'min_disk'],
]);

const TIME_FIELDS: ReadonlyMap<TimeField, TimeMatch['field']> = new Map([
  [TimeField.CREATED_AT, 'created_at'],
  [TimeField.UPDATED_AT, 'updated_at'],
]);

const TIME_OPERATORS: ReadonlyMap<TimeOperator, TimeMatch['operator']> = new Map([
  [TimeOperator.UNSPECIFIED, 'eq'],
  [TimeOperator.EQ, 'eq'],
  [TimeOperator.NEQ, 'neq'],
  [TimeOperator.GT, 'gt'],
  [TimeOperator.GTE, 'gte'],
  [TimeOperator.LT, 'lt'],
  [TimeOperator.LTE, 'lte'],
]);

export const visibilityOf = (word: ImageVisibility): Visibility => find(VISIBILITIES, word, 'visibility');
export const visibilityFilterOf = (word: VisibilityScope): VisibilityFilter => find(SCOPES, word, 'visibility');
export const memberScopeOf = (word: MemberStatusScope): MemberStatus | 'all' =>
  find(MEMBER_SCOPES, word, 'member_status');
export const memberStatusOf = (word: MemberStatusMessage): MemberStatus => find(MEMBER_STATUSES, word, 'status');
export const sortFieldOf = (word: SortFieldMessage): SortField => find(SORT_FIELDS, word, 'sort field');
export const integerFieldOf = (word: IntegerField): IntegerRange['field'] =>
  find(INTEGER_FIELDS, word, 'integer field');
export const timeFieldOf = (word: TimeField): TimeMatch['field'] => find(TIME_FIELDS, word, 'time field');
export const timeOperatorOf = (word: TimeOperator): TimeMatch['operator'] =>
  find(TIME_OPERATORS, word, 'time operator');

function find<Wire, Word>(words: ReadonlyMap<Wire, Word>, word: Wire, what: string): Word {
  const found = words.get(word);
  if (found === undefined)
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `${what} must be one of ${[...words.values()].join(', ')}, got ${String(word)}`,
    );
  return found;
}
