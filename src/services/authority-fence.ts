import { ServiceError } from '../base/service-error.js';

/** What the fence shuts. */
export interface FencedCatalog {
  /** The epoch of the catalog, as its file has it. */
  epoch(): number;
  /** Ends every writing of the catalog, now and after a restart. False: the second could not be written down, try again. */
  fence(epoch: number, refusal: ServiceError): boolean;
}

/**
 * Whether this authority has been replaced by another, whose catalog has a later epoch (docs/decisions/0071). It learns of it
 * from whoever has seen that epoch: the other authority, its nodes, or its own that went over.
 */
export class AuthorityFence {
  readonly #catalog: FencedCatalog;
  #refusal: ServiceError | undefined;
  #durable = false;

  constructor(catalog: FencedCatalog) {
    this.#catalog = catalog;
  }

  /** Takes note of an epoch that somebody has seen, who must have proved to be of this cluster. */
  see(epoch: number): void {
    // The file is asked, since a copy may have an epoch a moment before this process knows that it was raised.
    if (this.#durable || epoch <= this.#catalog.epoch()) return;
    this.#refusal ??= replaced(epoch);
    this.#durable = this.#catalog.fence(epoch, this.#refusal);
  }

  /** UNAVAILABLE: this authority has been replaced. */
  check(): void {
    if (this.#refusal !== undefined) throw this.#refusal;
  }
}

/** The word of an authority that another one has replaced. */
function replaced(epoch: number): ServiceError {
  return new ServiceError(
    'UNAVAILABLE',
    `This authority has been replaced by another, whose catalog is of epoch ${epoch}: nothing can be changed here. Name the ` +
      'other as the primary of every node, and start this one as an edge of it.',
    { details: { retry_after: '60' } },
  );
}
