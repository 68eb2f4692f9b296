import type { BackendCall, Dialect } from '../remote/backend.js';
import type { HttpHead, HttpRequest } from '../remote/transport.js';
import type { SwiftSession } from './swift-session.js';

/** How Swift is spoken: paths under the account's URL, a token in each request. */
export class SwiftDialect implements Dialect {
  readonly #session: SwiftSession;

  constructor(session: SwiftSession) {
    this.#session = session;
  }

  async authorize(call: BackendCall): Promise<HttpRequest> {
    const { token, storageUrl } = await this.#session.account();
    const url = new URL(storageUrl + call.path);
    for (const [name, value] of Object.entries(call.query ?? {})) url.searchParams.set(name, value);
    const headers = { ...call.headers, 'x-auth-token': token };
    return { method: call.method, url: url.href, headers, ...(call.body && { body: call.body }) };
  }

  /** The token has expired, or was revoked. */
  async renew(request: HttpRequest): Promise<boolean> {
    await this.#session.drop(request.headers['x-auth-token'] ?? '');
    return true;
  }

  // The quota middlewares answer 413 with "Upload exceeds quota." and need no word of their own.
  codeOf(_head: HttpHead, text: string): string {
    return /exceeds quota/i.test(text) ? 'QuotaExceeded' : '';
  }
}
