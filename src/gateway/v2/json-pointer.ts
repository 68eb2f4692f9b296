import { ServiceError } from '../../base/service-error.js';

/**
 * Splits the path of a patch operation into its unescaped segments (RFC 6901, narrowed by reference §6.4 "Pointer
 * rules"): it starts with one slash, has no empty segment, and `~` only in `~0` and `~1`. INVALID_ARGUMENT otherwise.
 */
export function parsePointer(path: string): readonly string[] {
  const shown = JSON.stringify(path.length > 80 ? `${path.slice(0, 80)}…` : path);
  if (!path.startsWith('/')) throw refusal(`expected a path that starts with "/", got ${shown}`);
  if (path.endsWith('/')) throw refusal(`expected a path without a trailing "/", got ${shown}`);
  if (path.includes('//')) throw refusal(`expected a path without empty segments, got ${shown}`);
  if (/~(?![01])/.test(path)) throw refusal(`expected "~" in "~0" and "~1" only, got ${shown}`);
  const segments = path.slice(1).split('/').map(unescapeSegment);
  // Blanks around a segment are never meant, and later requests could not name the property (reference §13 D14).
  if (segments.some((segment) => segment.trim() !== segment)) {
    throw refusal(`expected a path without blanks around a segment, got ${shown}`);
  }
  return segments;
}

function unescapeSegment(segment: string): string {
  // RFC 6901 §4: "~1" first, then "~0".
  return segment.replaceAll('~1', '/').replaceAll('~0', '~');
}

function refusal(message: string): ServiceError {
  return new ServiceError('INVALID_ARGUMENT', message);
}
