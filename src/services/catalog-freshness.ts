import { ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import { isReached, parsePosition, type Point, positionText } from '../domain/position.js';
import type { Catalog } from '../application/ports/catalog.js';
import type { OwnWrites } from './own-writes.js';
import type { ServiceContext } from './service-context.js';

/** A node that is cut off refuses a caller's reads for so long after a write that its copy never got (decision 0074). */
const OWN_WRITE_BINDS_MS = 30_000;

/**
 * Keeps what callers were promised of how new their answers are: not older than the position they name, nor than what they
 * wrote through this node; and tells them how new the answer is.
 */
export class CatalogFreshness {
  readonly #catalog: Pick<Catalog, 'waitFor' | 'status'>;
  readonly #ownWrites: OwnWrites | null;
  readonly #outage: () => string | undefined;

  /**
   * `ownWrites`: null where a write is visible before it is answered. `outage`: why it is in vain to wait for news of the
   * catalog now; undefined while it is not.
   */
  constructor(
    catalog: Pick<Catalog, 'waitFor' | 'status'>,
    ownWrites: OwnWrites | null,
    outage: () => string | undefined = () => undefined,
  ) {
    this.#catalog = catalog;
    this.#ownWrites = ownWrites;
    this.#outage = outage;
  }

  /** Waits until a read may be answered. UNAVAILABLE: the copy does not get there in time. */
  async reach(caller: Caller, context: Pick<ServiceContext, 'minPosition'>): Promise<void> {
    if (context.minPosition !== undefined) await this.#until(parsePosition(context.minPosition));
    const own = this.#ownWrites?.pending(caller, this.#catalog.status().position);
    if (own === undefined) return;
    if (own.ageMs > OWN_WRITE_BINDS_MS && this.#outage() !== undefined) return;
    await this.#until(own.point);
  }

  /** Waits until the copy has the position. UNAVAILABLE: it does not get there in time; at once while it gets no news. */
  async #until(wanted: Point): Promise<void> {
    const { position, stalenessMs } = this.#catalog.status();
    const outage = this.#outage();
    if (outage === undefined || isReached(position, wanted)) return this.#catalog.waitFor(wanted);
    const [expected, found] = [positionText(wanted), positionText(position)];
    const age = stalenessMs === null ? 'is of an unknown age' : `is ${Math.round(stalenessMs)} ms old`;
    throw new ServiceError(
      'UNAVAILABLE',
      `expected position ${expected}, this node's copy of the catalog is at ${found}, ${age} and gets no news now ` +
        `(${outage}): retry later, or at another node`,
      { details: { expected, found, retry_after: '5' } },
    );
  }

  /** Says how new what was just read is. */
  tell(context: Pick<ServiceContext, 'answeredAt'>): void {
    const { position, stalenessMs } = this.#catalog.status();
    context.answeredAt({ position: positionText(position), stalenessMs });
  }
}
