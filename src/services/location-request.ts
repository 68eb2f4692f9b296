/** Requests about locations, from messages to the domain. */
import { ServiceError } from '../base/service-error.js';
import type { RequestedChange } from '../application/update-image.js';
import type { ExpectedData } from '../domain/location-change.js';
import type { Finding } from '../domain/location.js';
import { checkText } from '../domain/text.js';
import { LocationDigestState } from '../gen/oriel/catalog/v1/image.js';
import type { ExpectedData as ExpectedDataMessage, LocationChange } from '../gen/oriel/catalog/v1/image_change.js';

/** Turns a message into a change of locations. INVALID_ARGUMENT: it names none, or a value is out of form. */
export function locationChangeOf({ action }: LocationChange): RequestedChange {
  switch (action?.$case) {
    case 'add': {
      const { url, metadata, expected, index } = action.value;
      const named = { url, metadata: checkedMetadata(metadata), expected: expectedDataOf(expected) };
      return { field: 'new-location', named, index: index ?? null };
    }
    case 'remove':
      return { field: 'location', change: { kind: 'remove', id: action.value } };
    case 'replace': {
      const locations = action.value.locations.map(({ id, metadata }) => ({ id, metadata: checkedMetadata(metadata) }));
      return { field: 'location', change: { kind: 'replace', locations } };
    }
    case undefined:
      throw new ServiceError('INVALID_ARGUMENT', 'a change of locations must add, remove or replace');
  }
}

/**
 * What the data should be; null: nothing was said. INVALID_ARGUMENT: an algorithm without a digest or the reverse (Images API v2
 * §6.9.1).
 */
export function expectedDataOf(message: ExpectedDataMessage | undefined): ExpectedData | null {
  if (message === undefined) return null;
  const { checksum, osHashAlgo, osHashValue } = message;
  if ((osHashAlgo === '') !== (osHashValue === ''))
    throw new ServiceError('INVALID_ARGUMENT', 'validation_data: os_hash_algo and os_hash_value go together');
  if (checksum === '' && osHashAlgo === '') return null;
  return { checksum: textOrNull(checksum), osHashAlgo: textOrNull(osHashAlgo), osHashValue: textOrNull(osHashValue) };
}

/** What was found at a location. INVALID_ARGUMENT: nothing that a node finds. */
export function findingOf(found: LocationDigestState): Finding {
  switch (found) {
    case LocationDigestState.DAMAGED:
      return 'damaged';
    case LocationDigestState.MISSING:
      return 'missing';
    case LocationDigestState.VERIFIED:
      return 'whole';
    case LocationDigestState.UNVERIFIED:
    case LocationDigestState.UNSPECIFIED:
    case LocationDigestState.UNRECOGNIZED:
      throw new ServiceError('INVALID_ARGUMENT', 'found: expected damaged, missing or verified');
  }
}

const METADATA_MAX = 32;

function checkedMetadata(metadata: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  if (metadata.size > METADATA_MAX)
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `metadata: expected at most ${METADATA_MAX} entries, got ${metadata.size}`,
    );
  for (const [name, value] of metadata) {
    checkText('a name in metadata', name);
    checkText(`metadata ${name}`, value);
  }
  return metadata;
}

function textOrNull(text: string): string | null {
  return text === '' ? null : text.toLowerCase();
}
