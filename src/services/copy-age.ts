import { ServiceError } from '../base/service-error.js';
import type { Catalog } from '../application/ports/catalog.js';

/**
 * How long a copy of the catalog that gets no news may be served from. After that, images that were shared, and callers who
 * lost their right to them, can have changed too long ago: only public images are served on.
 */
export class CopyAge {
  readonly #catalog: Pick<Catalog, 'status'>;
  readonly #maxStalenessMs: number;

  constructor(catalog: Pick<Catalog, 'status'>, maxStalenessMs: number) {
    this.#catalog = catalog;
    this.#maxStalenessMs = maxStalenessMs;
  }

  /** UNAVAILABLE: the copy is too old for what is not public. */
  allow(isPublic: boolean): void {
    if (isPublic) return;
    const { ok, stalenessMs } = this.#catalog.status();
    // Without a copy there is nothing to serve: the read says so.
    if (!ok || (stalenessMs !== null && stalenessMs <= this.#maxStalenessMs)) return;
    const since = stalenessMs === null ? 'a time that is not known, maybe' : `${hours(stalenessMs)} h,`;
    throw new ServiceError(
      'UNAVAILABLE',
      `This node has had no news of the catalog for ${since} longer than max_staleness ` +
        `(${hours(this.#maxStalenessMs)} h): until the authority answers, only public images are served (visibility=public)`,
      { details: { retry_after: '60' } },
    );
  }
}

function hours(ms: number): string {
  return (ms / 3_600_000).toFixed(1);
}
