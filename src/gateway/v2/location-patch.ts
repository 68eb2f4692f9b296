/**
 * JSON patch of `/locations` (reference §6.9.1). A patch names locations by place and URL, the catalog service by id: what the
 * caller sees of the image says which is which. What it does not see has the id '', which the service refuses once it has
 * found that the caller may change locations at all.
 */
import { ServiceError } from '../../base/service-error.js';
import type { Image } from '../../gen/oriel/catalog/v1/image.js';
import type { ExpectedData, ImageChange, NewLocation } from '../../gen/oriel/catalog/v1/image_change.js';
import { isJsonObject, kindOf } from '../json-body.js';

/** A step of a patch about the locations; its value has not been looked at. */
export interface LocationStep {
  readonly operation: 'add' | 'remove' | 'replace';
  /** The place in the list as the path says it; undefined: the whole list. */
  readonly place: string | undefined;
  readonly value: unknown;
}

interface LocationValue {
  readonly url: string;
  readonly metadata: Map<string, string>;
  readonly expected: ExpectedData | undefined;
}

const URL_MAX = 255;
const VALUES_MAX = 100;
const PLACE_DIGITS = 6;
const LOCATION_KEYS = ['url', 'metadata', 'validation_data'];
const VALIDATION_KEYS = ['checksum', 'os_hash_algo', 'os_hash_value'];

/** Tells a step about the locations from a change that is complete. */
export function isLocationStep(step: ImageChange | LocationStep): step is LocationStep {
  return 'operation' in step;
}

/**
 * Turns steps into changes, by what the caller sees of the image; changes of other attributes stay as they are. INVALID_ARGUMENT:
 * a value out of form.
 */
export function resolveLocationSteps(steps: readonly (ImageChange | LocationStep)[], image: Image): ImageChange[] {
  let ids = image.locations.map(({ id }) => id);
  return steps.flatMap((step): ImageChange[] => {
    if (!isLocationStep(step)) return [step];
    const place = placeOf(step);
    switch (step.operation) {
      case 'add':
        ids = ids.toSpliced(place ?? ids.length, 0, '');
        return [addition(locationValue(step.value), place)];
      case 'remove': {
        const id = place === undefined ? '' : (ids[place] ?? '');
        ids = ids.filter((_known, index) => index !== place);
        return [{ change: { $case: 'location', value: { action: { $case: 'remove', value: id } } } }];
      }
      case 'replace': {
        const values = locationValues(step.value);
        if (ids.length > 0 || values.length === 0) return [replacement(values, image)];
        ids = values.map(() => '');
        return values.map((value) => addition(value, undefined));
      }
    }
  });
}

/** The place in the list; undefined: its end, or the whole list. */
function placeOf({ place }: LocationStep): number | undefined {
  if (place === undefined || place === '-') return undefined;
  if (place.length <= PLACE_DIGITS) return Number(place);
  throw new ServiceError('INVALID_ARGUMENT', 'expected the place of a location in the list');
}

function locationValues(value: unknown): readonly LocationValue[] {
  if (!Array.isArray(value))
    throw new ServiceError('INVALID_ARGUMENT', `locations: expected a list, got ${kindOf(value)}`);
  if (value.length > VALUES_MAX)
    throw new ServiceError('LIMIT_EXCEEDED', `locations: expected at most ${VALUES_MAX}, got ${value.length}`);
  return value.map(locationValue);
}

function addition({ url, metadata, expected }: LocationValue, index: number | undefined): ImageChange {
  const value: NewLocation = { url, metadata, expected, index };
  return { change: { $case: 'location', value: { action: { $case: 'add', value } } } };
}

function replacement(values: readonly LocationValue[], image: Image): ImageChange {
  const left = [...image.locations];
  const locations = values.map(({ url, metadata, expected }) => {
    if (expected !== undefined)
      throw new ServiceError('INVALID_ARGUMENT', 'validation_data: expected only with a location that is added');
    const place = left.findIndex((known) => known.url === url);
    const [known] = place === -1 ? [] : left.splice(place, 1);
    return { id: known?.id ?? '', metadata: known === undefined ? metadata : ownMetadata(metadata, known) };
  });
  return { change: { $case: 'location', value: { action: { $case: 'replace', value: { locations } } } } };
}

/** Without the store that was only shown (image-json.ts); one that the location was given stays. */
function ownMetadata(metadata: Map<string, string>, known: Image['locations'][number]): Map<string, string> {
  if (known.metadata.has('store') || metadata.get('store') !== known.store) return metadata;
  return new Map([...metadata].filter(([name]) => name !== 'store'));
}

function locationValue(value: unknown): LocationValue {
  const fields = objectOf('a location', value, LOCATION_KEYS);
  const { url, metadata, validation_data: validation } = fields;
  const texts = new Map<string, string>();
  for (const [name, text] of Object.entries(objectOf('metadata', metadata, null))) {
    if (typeof text !== 'string')
      throw new ServiceError(
        'INVALID_ARGUMENT',
        `metadata ${name.slice(0, 80)}: expected a string, got ${kindOf(text)}`,
      );
    texts.set(name, text);
  }
  return {
    url: checkedUrl(url),
    metadata: texts,
    expected: validation === undefined ? undefined : validationData(validation),
  };
}

/** The URL of a body. INVALID_ARGUMENT: no string of 1 to 255 characters. */
export function checkedUrl(url: unknown): string {
  if (typeof url === 'string' && url.length > 0 && url.length <= URL_MAX) return url;
  throw new ServiceError('INVALID_ARGUMENT', `url: expected a string of 1 to ${URL_MAX} characters`);
}

function validationData(value: unknown): ExpectedData {
  const fields = objectOf('validation_data', value, VALIDATION_KEYS);
  const texts = { osHashAlgo: fields['os_hash_algo'], osHashValue: fields['os_hash_value'] };
  const { osHashAlgo, osHashValue } = texts;
  const checksum = fields['checksum'] ?? '';
  if (typeof osHashAlgo !== 'string' || typeof osHashValue !== 'string' || typeof checksum !== 'string')
    throw new ServiceError('INVALID_ARGUMENT', 'validation_data: expected os_hash_algo and os_hash_value as strings');
  return { checksum, osHashAlgo, osHashValue };
}

/** The members of an object; `keys`: which there may be, null: any. */
function objectOf(what: string, value: unknown, keys: readonly string[] | null): Readonly<Record<string, unknown>> {
  if (!isJsonObject(value))
    throw new ServiceError('INVALID_ARGUMENT', `${what}: expected an object, got ${kindOf(value)}`);
  const unknown = keys === null ? undefined : Object.keys(value).find((name) => !keys.includes(name));
  if (unknown !== undefined)
    throw new ServiceError('INVALID_ARGUMENT', `${what}: expected no ${JSON.stringify(unknown.slice(0, 80))}`);
  return value;
}
