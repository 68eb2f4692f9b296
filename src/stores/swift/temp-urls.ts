import { createHmac } from 'node:crypto';
import { goodFor } from '../remote/url-window.js';
import type { SwiftSession } from './swift-session.js';

/** URLs by which anyone reads an object until they expire (Swift, "Temporary URL middleware"), signed with a key of the account. */
export class TempUrls {
  readonly #session: SwiftSession;
  readonly #options: { readonly key: string; readonly ttlMs: number };

  constructor(session: SwiftSession, options: { readonly key: string; readonly ttlMs: number }) {
    this.#session = session;
    this.#options = options;
  }

  /** The URL of a path below the account; undefined until the service has said where that is. */
  url(path: string, nowMs: number): string | undefined {
    const { storageUrl } = this.#session;
    if (storageUrl === undefined) return undefined;
    const { key, ttlMs } = this.#options;
    const expires = String(goodFor(ttlMs, nowMs).untilSeconds);
    const url = new URL(storageUrl + path);
    // The middleware signs the path as it is without percent signs; a signature of GET lets HEAD in as well.
    const signed = `GET\n${expires}\n${decodeURIComponent(url.pathname)}`;
    url.searchParams.set('temp_url_sig', createHmac('sha256', key).update(signed).digest('hex'));
    url.searchParams.set('temp_url_expires', expires);
    return url.href;
  }
}
