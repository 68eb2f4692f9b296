import type { NodeId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { ClusterNode } from '../domain/cluster-node.js';
import type { CatalogContext } from './catalog-context.js';

/** How a node did when it was heard from last. */
export interface NodeHealth {
  /** The position of its catalog, as texts of positions are written. */
  readonly position: string;
  readonly stalenessMs: number;
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly uploads: number;
}

/** A node with how it does; `health` is null where nobody was told. */
export interface KnownNode {
  readonly node: ClusterNode;
  readonly health: NodeHealth | null;
  readonly seenAtMs: number;
  readonly alive: boolean;
}

/** What a node says of itself. */
export type Announcement = Omit<ClusterNode, 'publicKey' | 'seenAtMs'>;

/** A sign of life alone goes into the catalog, and so to every copy of it, this seldom. */
const NOTED_EVERY_MS = 60_000;
/** A node that was not heard from for so long counts as gone; nodes announce themselves each 10 s. */
const ALIVE_MS = 35_000;

/**
 * The nodes of the cluster, kept by its authority: what other nodes need to find a node is a row of the catalog, how it does
 * from one moment to the next stays in memory.
 */
export class NodeRegistry {
  readonly #context: Pick<CatalogContext, 'catalog' | 'clock' | 'ids'>;
  readonly #heard = new Map<NodeId, { readonly health: NodeHealth; readonly atMs: number }>();

  constructor(context: Pick<CatalogContext, 'catalog' | 'clock' | 'ids'>) {
    this.#context = context;
  }

  /** Takes a node in, or in again with another key: whoever has the cluster's key may replace a node's. */
  async join(id: NodeId, publicKey: string): Promise<void> {
    const known = await this.#known(id);
    if (known?.publicKey === publicKey) return;
    const seenAtMs = this.#context.clock.nowMs();
    const blank: Announcement = { id, role: 'edge', site: '', version: '', httpUrl: '', grpcAddress: '', stores: [] };
    await this.#put({ ...(known ?? blank), publicKey, seenAtMs });
  }

  /** Notes what a node says of itself. FORBIDDEN: it has not joined. */
  async announce(said: Announcement, health: NodeHealth): Promise<void> {
    const known = await this.#known(said.id);
    if (known === undefined) throw new ServiceError('FORBIDDEN', `node ${said.id} has not joined the cluster`);
    const nowMs = this.#context.clock.nowMs();
    this.#heard.set(said.id, { health, atMs: nowMs });
    const { publicKey, seenAtMs, ...before } = known;
    if (sameAnnouncement(before, said) && nowMs - seenAtMs < NOTED_EVERY_MS) return;
    await this.#put({ ...said, publicKey, seenAtMs: nowMs });
  }

  async list(): Promise<readonly KnownNode[]> {
    const nodes = await this.#context.catalog.read((reader) => reader.nodes());
    const nowMs = this.#context.clock.nowMs();
    return nodes.map((node) => {
      const heard = this.#heard.get(node.id);
      const seenAtMs = Math.max(node.seenAtMs, heard?.atMs ?? 0);
      return {
        node,
        health: heard?.health ?? null,
        seenAtMs,
        alive: heard !== undefined && nowMs - seenAtMs < ALIVE_MS,
      };
    });
  }

  #known(id: NodeId): Promise<ClusterNode | undefined> {
    return this.#context.catalog.read((reader) => reader.node(id));
  }

  async #put(node: ClusterNode): Promise<void> {
    const { catalog, ids } = this.#context;
    await catalog.write([{ kind: 'put-node', node }], { opId: ids.uuid(), subject: 'node' });
  }
}

function sameAnnouncement(a: Announcement, b: Announcement): boolean {
  return (
    a.role === b.role &&
    a.site === b.site &&
    a.version === b.version &&
    a.httpUrl === b.httpUrl &&
    a.grpcAddress === b.grpcAddress &&
    a.stores.join('\n') === b.stores.join('\n')
  );
}
