import type { Log } from '../application/log.js';
import type { NodeId } from '../base/brand.js';
import { failedWith, ServiceError } from '../base/service-error.js';
import type { Caller } from '../domain/caller.js';
import type { Node } from '../gen/oriel/node/v1/node_service.js';
import type { AuthorityLink } from './authority-link.js';

const ANNOUNCE_EVERY_MS = 10_000;

export interface MembershipOptions {
  readonly nodeId: NodeId;
  /** SubjectPublicKeyInfo, PEM. */
  readonly publicKey: string;
  /** Proves that this node has the cluster's key. */
  readonly proof: Buffer;
  readonly link: AuthorityLink;
  /** The latest epoch that this node has seen, the proof of one, and which catalog its copy is of (0: not known). */
  readonly epochs: { seen(): number; prove(epoch: number): Buffer; catalogId(): number };
  /** What this node says of itself now. */
  announcement(): Promise<Node>;
  readonly log: Log;
}

/** Where a copy of the catalog comes from. */
export interface SyncSource {
  readonly syncUrl: string;
  readonly authToken: string;
}

/** This node's place in the cluster: joins, says how it does, and knows the authority's clock. */
export class Membership {
  readonly #options: MembershipOptions;
  #clockAheadMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  /** Now, by the authority's clock as far as it is known. */
  nowMs(): number {
    return Date.now() + this.#clockAheadMs;
  }

  /** Joins, and returns where to copy the catalog from. UNAVAILABLE: no answer. UNAUTHENTICATED: another cluster's key. */
  async join(): Promise<SyncSource> {
    const { nodeId, publicKey, proof, link } = this.#options;
    const joined = await link.node.join({ nodeId, publicKey, proof });
    const other = this.#otherCatalog(Number(joined.catalogId));
    link.refuse(other?.message);
    if (other !== undefined) throw other;
    await this.#refuseOlder(Number(joined.epoch));
    this.#setClock(joined.now);
    this.announceSoon();
    return { syncUrl: joined.syncUrl, authToken: joined.syncToken };
  }

  /** A copy is never replaced by another catalog: it may be the last one of a cluster. 0: of an earlier release. */
  #otherCatalog(catalogId: number): ServiceError | undefined {
    const own = this.#options.epochs.catalogId();
    if (own === 0 || catalogId === 0 || own === catalogId) return undefined;
    return new ServiceError(
      'STATE_CONFLICT',
      'the authority that is named as primary has another catalog than the one that this node has a copy of: name the right ' +
        'one; or, if this node is to go over, remove the folder "replica" of its data folder',
    );
  }

  /** An authority of an earlier epoch has been replaced: it is told so, and not followed. 0: of an earlier release. */
  async #refuseOlder(epoch: number): Promise<void> {
    const seen = this.#options.epochs.seen();
    if (epoch === 0 || epoch >= seen) return;
    await this.#fence(seen);
    throw new ServiceError(
      'UNAVAILABLE',
      `the authority that is named as primary is of epoch ${epoch}, and this node has seen epoch ${seen}: it was replaced; ` +
        'name the new one',
    );
  }

  /** Tells the authority that answers that it has been replaced. */
  tellReplaced(): void {
    this.#fence(this.#options.epochs.seen()).catch((error: unknown) =>
      this.#options.log.warn({ err: error }, 'an authority that was replaced could not be told so'),
    );
  }

  async #fence(seen: number): Promise<void> {
    const { link, epochs } = this.#options;
    await link.node.fenceAuthority({ epoch: BigInt(seen), proof: epochs.prove(seen) });
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Announces this node, now unless told: when something changed that others should know. */
  announceSoon(inMs = 0): void {
    const dueMs = performance.now() + inMs;
    if (this.#stopped || dueMs >= this.#dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => void this.#announce(), inMs);
    this.#timer.unref();
  }

  async #announce(): Promise<void> {
    const { link, nodeId, log } = this.#options;
    this.#dueMs = Number.POSITIVE_INFINITY;
    try {
      const options = link.vouch(selfCaller(nodeId), { trace: { requestId: undefined, traceparent: undefined } });
      const { now } = await link.node.announceNode({ node: await this.#options.announcement() }, options);
      this.#setClock(now);
    } catch (error) {
      // The authority lost its memory of this node (a restored backup), or this node was gone for long and its clock has moved.
      const unknown = failedWith(error, 'FORBIDDEN') || failedWith(error, 'UNAUTHENTICATED');
      if (unknown)
        await this.join().catch((cause: unknown) => log.warn({ err: cause }, 'could not join the cluster again'));
      else if (link.shutBecause === undefined) log.warn({ err: error }, 'the authority did not take the announcement');
    }
    this.announceSoon(ANNOUNCE_EVERY_MS);
  }

  #setClock(now: Date | undefined): void {
    if (now !== undefined) this.#clockAheadMs = now.getTime() - Date.now();
  }
}

/** A node that acts for nobody but itself. */
export function selfCaller(nodeId: NodeId): Caller {
  return {
    kind: 'node',
    userId: `node:${nodeId}`,
    projectId: null,
    roles: new Set(['service', 'reader']),
    serviceRoles: new Set(),
    vouchedBy: nodeId,
  };
}
