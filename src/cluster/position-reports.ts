import type { Log } from '../application/log.js';
import type { NodeId } from '../base/brand.js';
import { failedWith, ServiceError } from '../base/service-error.js';
import type { Catalog } from '../application/ports/catalog.js';
import { parsePosition, positionText } from '../domain/position.js';
import type { AuthorityLink } from './authority-link.js';
import { selfCaller } from './membership.js';

const NO_TRACE = { trace: { requestId: undefined, traceparent: undefined } };
/** After a question that was not answered; the link's own probe is as frequent. */
const PAUSE_MS = 500;
/** Until it is asked again whether anybody waits. */
const REST_MS = 10_000;

/**
 * Tells the authority, over and over, which position this node's copy holds, and fetches what it is asked to hold: so a change
 * that waits for a second copy (`durability = "replica"`) waits for one round trip and a sync.
 */
export class PositionReports {
  readonly #link: AuthorityLink;
  readonly #copy: Pick<Catalog, 'status' | 'waitFor'>;
  readonly #nodeId: NodeId;
  readonly #log: Log;
  #stopped = false;
  #pause: NodeJS.Timeout | undefined;

  constructor(parts: {
    readonly link: AuthorityLink;
    readonly copy: Pick<Catalog, 'status' | 'waitFor'>;
    readonly nodeId: NodeId;
    readonly log: Log;
  }) {
    this.#link = parts.link;
    this.#copy = parts.copy;
    this.#nodeId = parts.nodeId;
    this.#log = parts.log;
  }

  start(): void {
    if (this.#stopped) return;
    this.#report().then(
      () => this.start(),
      (error: unknown) => {
        if (this.#stopped) return;
        // What keeps the authority from answering is logged by the link, and a copy that lags by the replica.
        if (!(error instanceof ServiceError) || failedWith(error, 'INTERNAL'))
          this.#log.warn({ err: error }, 'the position of the copy could not be told');
        const pauseMs =
          failedWith(error, 'STATE_CONFLICT') || failedWith(error, 'NOT_IMPLEMENTED') ? REST_MS : PAUSE_MS;
        this.#pause = setTimeout(() => this.start(), pauseMs);
      },
    );
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#pause);
  }

  async #report(): Promise<void> {
    if (this.#link.shutBecause !== undefined) throw new ServiceError('UNAVAILABLE', this.#link.shutBecause);
    const { position } = this.#copy.status();
    // Not by the link's own way of calling: a question stays open for longer than a change may take.
    const options = this.#link.vouch(selfCaller(this.#nodeId), NO_TRACE);
    const next = await this.#link.node.holdPosition({ position: positionText(position) }, options);
    await this.#copy.waitFor(parsePosition(next.position));
  }
}
