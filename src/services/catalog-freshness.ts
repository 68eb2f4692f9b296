import type { Caller } from '../domain/caller.js';
import { parsePosition, positionText } from '../domain/position.js';
import type { Catalog } from '../application/ports/catalog.js';
import type { OwnWrites } from './own-writes.js';
import type { ServiceContext } from './service-context.js';

/**
 * Keeps what callers were promised of how new their answers are: not older than the position they name, nor than what they
 * wrote through this node; and tells them how new the answer is.
 */
export class CatalogFreshness {
  readonly #catalog: Pick<Catalog, 'waitFor' | 'status'>;
  readonly #ownWrites: OwnWrites | null;

  /** `ownWrites`: null where a write is visible before it is answered. */
  constructor(catalog: Pick<Catalog, 'waitFor' | 'status'>, ownWrites: OwnWrites | null) {
    this.#catalog = catalog;
    this.#ownWrites = ownWrites;
  }

  /** Waits until a read may be answered. UNAVAILABLE: the copy does not get there in time. */
  async reach(caller: Caller, context: Pick<ServiceContext, 'minPosition'>): Promise<void> {
    if (context.minPosition !== undefined) await this.#catalog.waitFor(parsePosition(context.minPosition));
    const own = this.#ownWrites?.pending(caller, this.#catalog.status().position);
    if (own !== undefined) await this.#catalog.waitFor(own);
  }

  /** Says how new what was just read is. */
  tell(context: Pick<ServiceContext, 'answeredAt'>): void {
    const { position, stalenessMs } = this.#catalog.status();
    context.answeredAt({ position: positionText(position), stalenessMs });
  }
}
