/** From when until when a signed URL is good, in seconds since 1970. */
export interface UrlWindow {
  readonly fromSeconds: number;
  readonly untilSeconds: number;
}

/**
 * The window of a URL that is made now: `ttlMs` long, and begun at a whole half of that. So the URL of an object is the same for
 * half the time, and good for half the time or more when it is made.
 */
export function goodFor(ttlMs: number, nowMs: number): UrlWindow {
  const halfSeconds = Math.max(1, Math.floor(ttlMs / 2000));
  const fromSeconds = Math.floor(nowMs / 1000 / halfSeconds) * halfSeconds;
  return { fromSeconds, untilSeconds: fromSeconds + 2 * halfSeconds };
}
