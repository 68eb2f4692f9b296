import type { Answer } from './answer.js';
import type { Exchange } from './exchange.js';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** One method of one path. */
export interface Route {
  readonly method: Method;
  /** The path, its parameters as `:name`. */
  readonly path: string;
  /** `none`: a body is refused with INVALID_ARGUMENT (reference §2.1 "Body on a body-less route"). */
  readonly body: 'none' | 'ignored' | 'taken';
  /** Returns what to answer; undefined: the route wrote its answer itself. */
  handle(exchange: Exchange): Answer | undefined | Promise<Answer | undefined>;
}

/** Which methods exist under which path, for 405 with Allow (reference §2.4, §12.8 G19). */
export class AllowTable {
  readonly #entries: { readonly segments: readonly string[]; readonly methods: Set<string> }[] = [];

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      const segments = route.path.split('/');
      const known = this.#entries.find((entry) => entry.segments.join('/') === route.path);
      if (known === undefined) this.#entries.push({ segments, methods: new Set([route.method]) });
      else known.methods.add(route.method);
    }
  }

  /** The methods of the route that the path (without query) belongs to; undefined when it belongs to none. */
  allow(path: string): string | undefined {
    const segments = path.split('/');
    const fits = (pattern: readonly string[]): boolean =>
      pattern.length === segments.length &&
      pattern.every((part, index) => (part.startsWith(':') ? segments[index] !== '' : part === segments[index]));
    const entry = this.#entries.find((candidate) => fits(candidate.segments));
    return entry === undefined ? undefined : [...entry.methods].join(', ');
  }
}
