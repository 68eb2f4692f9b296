/**
 * The attributes of an image as bodies may carry them (reference §3.1, §3.2): one TypeBox schema each, whose description
 * says what is expected. Create and PATCH check against the same schemas.
 */
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler';
import { ServiceError } from '../../base/service-error.js';
import { ImageVisibility } from '../../gen/oriel/catalog/v1/image.js';
import { kindOf } from '../json-body.js';
import { requirePlainText } from '../text-rules.js';

const MAX_TEXT = 255;
const MAX_INT32 = 2_147_483_647;
const UUID_PATTERN = '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$';

const nullableText = Type.Union([Type.String({ maxLength: MAX_TEXT }), Type.Null()], {
  description: `a string of at most ${MAX_TEXT} characters or null`,
});
const nullableWord = Type.Union([Type.String(), Type.Null()], { description: 'a string or null' });
const flag = Type.Boolean({ description: 'true or false' });
const int32 = Type.Integer({
  minimum: 0,
  maximum: MAX_INT32,
  description: `an integer from 0 to ${MAX_INT32}`,
});
const VISIBILITIES = Type.Union(
  [Type.Literal('public'), Type.Literal('private'), Type.Literal('shared'), Type.Literal('community')],
  { description: 'public, private, shared or community' },
);
const tagList = Type.Array(Type.String({ maxLength: MAX_TEXT }), {
  description: `a list of strings of at most ${MAX_TEXT} characters`,
});
/** Custom properties that the schema file of the Images API constrains (reference §3.2 "Names with schema"). */
const uuidOrNull = Type.Union([Type.String({ pattern: UUID_PATTERN }), Type.Null()], {
  description: 'a UUID or null',
});
const deletionPolicy = Type.Union([Type.Literal('on_image_deletion'), Type.Literal('do_not_delete')], {
  description: 'on_image_deletion or do_not_delete',
});

export const ATTRIBUTE_CHECKS = {
  id: compile(Type.String({ pattern: UUID_PATTERN, description: 'a UUID' })),
  name: compile(nullableText),
  disk_format: compile(nullableWord),
  container_format: compile(nullableWord),
  visibility: compile(VISIBILITIES),
  protected: compile(flag),
  os_hidden: compile(flag),
  min_ram: compile(int32),
  min_disk: compile(int32),
  owner: compile(nullableText),
  tags: compile(tagList),
} as const;

const UUID_PROPERTY = compile(uuidOrNull);
const DELETION_POLICY_PROPERTY = compile(deletionPolicy);

/** Attributes that only the service sets: any attempt is FORBIDDEN (reference §6.4 "Effects"). */
export const READ_ONLY_ATTRIBUTES: ReadonlySet<string> = new Set([
  'id',
  'status',
  'size',
  'virtual_size',
  'checksum',
  'os_hash_algo',
  'os_hash_value',
  'created_at',
  'updated_at',
  'direct_url',
  'self',
  'file',
  'schema',
  // §13 D9: a custom property of this name would collide with the attribute.
  'stores',
]);

const RESERVED_ATTRIBUTES: ReadonlySet<string> = new Set(['location', 'deleted', 'deleted_at']);

/** Tells whether clients may never name this attribute (reference §3.2 "Reserved keys"). */
export function isReserved(name: string): boolean {
  return RESERVED_ATTRIBUTES.has(name) || name.startsWith('os_glance');
}

/** Returns the value when it passes the check; throws INVALID_ARGUMENT naming the attribute otherwise. */
export function checked<T extends TSchema>(check: TypeCheck<T>, name: string, value: unknown): Static<T> {
  if (check.Check(value)) return value;
  const expected = check.Schema().description ?? 'another value';
  throw new ServiceError('INVALID_ARGUMENT', `${name}: expected ${expected}, got ${describe(value)}`);
}

/** Returns a name (or null) that headers and three-byte UTF-8 can carry. */
export function checkedText(check: TypeCheck<typeof nullableText>, name: string, value: unknown): string | null {
  const text = checked(check, name, value);
  if (text !== null) requirePlainText(name, text);
  return text;
}

/** Returns the tags without duplicates, in order. */
export function checkedTags(value: unknown): string[] {
  const tags = [...new Set(checked(ATTRIBUTE_CHECKS.tags, 'tags', value))];
  for (const tag of tags) requirePlainText('tags', tag);
  return tags;
}

/** The visibility as the services spell it. */
export function checkedVisibility(value: unknown): ImageVisibility {
  switch (checked(ATTRIBUTE_CHECKS.visibility, 'visibility', value)) {
    case 'public':
      return ImageVisibility.PUBLIC;
    case 'private':
      return ImageVisibility.PRIVATE;
    case 'shared':
      return ImageVisibility.SHARED;
    case 'community':
      return ImageVisibility.COMMUNITY;
  }
}

/** Checks the name of a custom property: 1 to 255 characters (reference §3.2, §13 D14). */
export function requirePropertyName(name: string): void {
  if (name.length === 0 || name.length > MAX_TEXT) {
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `property name: expected 1 to ${MAX_TEXT} characters, got ${name.length}`,
    );
  }
  requirePlainText('property name', name);
}

/**
 * Returns the value of a custom property; null for the few properties whose schema allows it (reference §3.2). Throws
 * INVALID_ARGUMENT for anything that is not text.
 */
export function checkedPropertyValue(name: string, value: unknown): string | null {
  if (name === 'kernel_id' || name === 'ramdisk_id') return checked(UUID_PROPERTY, name, value);
  if (name === 'cinder_encryption_key_deletion_policy') return checked(DELETION_POLICY_PROPERTY, name, value);
  if (typeof value !== 'string') {
    throw new ServiceError('INVALID_ARGUMENT', `property ${name}: expected a string, got ${kindOf(value)}`);
  }
  requirePlainText(`property ${name}`, value);
  return value;
}

function compile<T extends TSchema>(schema: T): TypeCheck<T> {
  return TypeCompiler.Compile(schema);
}

function describe(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string') return kindOf(value);
  return value.length > 40 ? `a string of ${value.length} characters` : JSON.stringify(value);
}
