/** Version discovery (reference §2.5). Which versions are announced, and why: docs/decisions/0030-announced-versions.md. */
import type { Answer } from './answer.js';

/** Minors of version 2 whose calls all exist, newest first. */
const ANNOUNCED_MINORS = [17, 16, 14, 7, 5, 4, 3, 1, 0] as const;
const MEDIA_TYPE = /^application\/vnd\.openstack\.images-v2\.(\d{1,3})$/i;
const VERSION_SEGMENT = /^\/v2\.(\d{1,3})(?=\/|\?|$)/;
const ANY_VERSION_SEGMENT = /^\/v\d/;

function isAnnounced(minor: string | undefined): boolean {
  return ANNOUNCED_MINORS.some((known) => String(known) === minor);
}

/** The list of versions; 300 at the root and for unknown versions, without Location (§12.8 G20), 200 at `/versions`. */
export function versionsAnswer(status: 200 | 300, origin: string): Answer {
  const versions = ANNOUNCED_MINORS.map((minor, index) => ({
    id: `v2.${minor}`,
    status: index === 0 ? 'CURRENT' : 'SUPPORTED',
    links: [{ rel: 'self', href: `${origin}/v2/` }],
  }));
  return { status, body: JSON.stringify({ versions }) };
}

/**
 * The URL that a request is routed by. `/v2.N/…` of an announced minor, and a path without version under the media type
 * `application/vnd.openstack.images-v2.N`, become `/v2/…`.
 */
export function routedUrl(url: string, accept: string | undefined): string {
  if (url.startsWith('/v2/')) return url;
  const segment = VERSION_SEGMENT.exec(url);
  if (segment !== null) {
    return isAnnounced(segment[1]) ? `/v2${url.slice(segment[0].length)}` : url;
  }
  const mediaType = accept === undefined ? null : MEDIA_TYPE.exec(accept.trim());
  if (mediaType === null || ANY_VERSION_SEGMENT.test(url) || !isAnnounced(mediaType[1])) return url;
  return `/v2${url}`;
}
