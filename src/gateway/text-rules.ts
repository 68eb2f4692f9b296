import { ServiceError } from '../base/service-error.js';

// Images API v2 §2.1 "Text limits": the data model is that of MySQL's 3-byte utf8.
const FOUR_BYTE_UTF8 = /[\u{10000}-\u{10FFFF}]/u;
// §14.4: version 1 emits these texts as headers, so version 2 must not plant a header end in them.
const HEADER_BREAK = /[\r\n\0]/;
// With the u flag, pairs are one character and do not match.
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Refuses text that could break a header (CR, LF, NUL; reference §14.4) or that is not valid Unicode.
 * Throws INVALID_ARGUMENT naming `what`.
 */
export function requireHeaderSafe(what: string, text: string): void {
  if (HEADER_BREAK.test(text)) {
    throw new ServiceError('INVALID_ARGUMENT', `${what}: expected text without CR, LF and NUL`);
  }
  if (LONE_SURROGATE.test(text)) {
    throw new ServiceError('INVALID_ARGUMENT', `${what}: expected valid Unicode, found half of a surrogate pair`);
  }
}

/**
 * As `requireHeaderSafe`, and refuses characters that need four bytes in UTF-8 (reference §2.1 "Text limits"). For names,
 * property keys, values and tags of bodies, and for filters of lists.
 */
export function requirePlainText(what: string, text: string): void {
  requireHeaderSafe(what, text);
  if (FOUR_BYTE_UTF8.test(text)) {
    throw new ServiceError('INVALID_ARGUMENT', `${what}: expected characters of at most three bytes in UTF-8`);
  }
}
