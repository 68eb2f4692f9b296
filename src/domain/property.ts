import { ServiceError } from '../base/service-error.js';
import { checkPropertyValue, checkText } from './text.js';

/** Keys that custom properties may not have (Images API v2 §3.2 "Reserved keys", §13 D9, and every base attribute). */
const RESERVED = new Set([
  ...['location', 'locations', 'deleted', 'deleted_at', 'stores', 'direct_url', 'tags'],
  ...['id', 'name', 'status', 'visibility', 'size', 'virtual_size', 'checksum', 'os_hash_algo', 'os_hash_value'],
  ...['protected', 'os_hidden', 'min_disk', 'min_ram', 'owner', 'disk_format', 'container_format'],
  ...['created_at', 'updated_at', 'self', 'file', 'schema'],
]);

const UUID = /^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$/;
const IMAGE_REFERENCES = new Set(['kernel_id', 'ramdisk_id']);
const DELETION_POLICIES = ['on_image_deletion', 'do_not_delete'];

/** Throws FORBIDDEN when users may not set a property of this name. */
export function checkPropertyAllowed(name: string): void {
  if (RESERVED.has(name) || isServiceProperty(name))
    throw new ServiceError('FORBIDDEN', `Attribute '${name}' is reserved.`);
}

/** Throws INVALID_ARGUMENT when the name or the value cannot be a custom property. */
export function checkProperty(name: string, value: string): void {
  if (name === '') throw new ServiceError('INVALID_ARGUMENT', 'the name of a property may not be empty');
  checkText('the name of a property', name);
  checkPropertyValue(name, value);
  // schema-image.json gives these three a form (Images API v2 §3.2 "Names with schema").
  if (IMAGE_REFERENCES.has(name) && !UUID.test(value))
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `property '${name}' must be the UUID of an image, got ${JSON.stringify(value)}`,
    );
  if (name === 'cinder_encryption_key_deletion_policy' && !DELETION_POLICIES.includes(value))
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `property '${name}' must be one of ${DELETION_POLICIES.join(', ')}, got ${JSON.stringify(value)}`,
    );
}

/** Tells whether the property is the service's own: users cannot set it and it counts in no quota. */
export function isServiceProperty(name: string): boolean {
  return name.startsWith('os_glance');
}
