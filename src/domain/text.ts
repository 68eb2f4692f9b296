import { ServiceError } from '../base/service-error.js';

/** Longest name, property key, tag, owner and member id, in characters (Images API v2 §10). */
export const TEXT_MAX = 255;

/** Longest value of a custom property in bytes of UTF-8: what MySQL's TEXT held, which clients have relied on since v1. */
const VALUE_MAX_BYTES = 65_535;

/**
 * Checks a text of a user: no CR, LF or NUL, which v1 would put in a header (reference §14.4), and no code point of four
 * bytes in UTF-8, as the Images API has it (§2.1 "Text limits"). INVALID_ARGUMENT names `what`.
 */
export function checkText(what: string, text: string, maxCharacters = TEXT_MAX): string {
  if (text.length > maxCharacters)
    throw invalid(`${what} may have at most ${maxCharacters} characters, got ${text.length}`);
  return checkCharacters(what, text);
}

/** Checks the value of a custom property. INVALID_ARGUMENT names the property. */
export function checkPropertyValue(name: string, value: string): string {
  const bytes = Buffer.byteLength(value);
  if (bytes > VALUE_MAX_BYTES)
    throw invalid(
      `the value of property ${JSON.stringify(name)} may have at most ${VALUE_MAX_BYTES} bytes, got ${bytes}`,
    );
  return checkCharacters(`the value of property ${JSON.stringify(name)}`, value);
}

function checkCharacters(what: string, text: string): string {
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit === 0 || unit === 10 || unit === 13)
      throw invalid(`${what} may not hold line breaks or NUL characters, found one at position ${index}`);
    if (unit >= 0xd800 && unit <= 0xdfff)
      throw invalid(`${what} may not hold characters beyond U+FFFF, found one at position ${index}`);
  }
  return text;
}

function invalid(message: string): ServiceError {
  return new ServiceError('INVALID_ARGUMENT', message);
}
