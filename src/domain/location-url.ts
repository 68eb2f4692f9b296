import { ServiceError } from '../base/service-error.js';

const URL_MAX = 255;
/** Never from callers, whatever stores there are (OSSA-2014-041, OSSA-2015-002, LP1334196). */
const REFUSED_SCHEMES: ReadonlySet<string> = new Set(['file:', 'filesystem:', 'swift+config:']);

/**
 * Parses the URL of a location that a caller names. INVALID_ARGUMENT: no URL, too long, with credentials or a fragment, or of a
 * scheme that is never taken. Messages do not repeat it: it may hold what is nobody's business (OSSA-2013-002).
 */
export function parseLocationUrl(text: string): URL {
  // The parser of URLs drops blanks and control characters; what is refused must be what would be used.
  const plain = text.length <= URL_MAX && /^[\x21-\x7e]+$/.test(text);
  const url = plain ? parsed(text) : undefined;
  if (url === undefined)
    throw new ServiceError('INVALID_ARGUMENT', `url: expected a URL of at most ${URL_MAX} characters`);
  if (REFUSED_SCHEMES.has(url.protocol)) throw refusedUrl();
  if (url.username !== '' || url.password !== '' || url.hash !== '')
    throw new ServiceError('INVALID_ARGUMENT', 'url: expected no user, no password and no fragment');
  return url;
}

/** The one answer to a URL that names nothing that may be a location. */
export function refusedUrl(): ServiceError {
  return new ServiceError(
    'INVALID_ARGUMENT',
    'url: not that of an object of a store whose objects may be named by URL',
  );
}

function parsed(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}
