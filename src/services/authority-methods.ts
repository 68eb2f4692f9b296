import { asImageId, asNodeId, type NodeId } from '../base/brand.js';
import { isHostPort } from '../base/host-port.js';
import { ServiceError } from '../base/service-error.js';
import type { Announcement, KnownNode, NodeHealth, NodeRegistry } from '../application/node-registry.js';
import type { Clock } from '../application/ports/clock.js';
import type { ClusterNode } from '../domain/cluster-node.js';
import { parsePosition, positionText } from '../domain/position.js';
import { Node, NodeRole } from '../gen/oriel/node/v1/node_service.js';
import type * as wire from '../gen/oriel/node/v1/node_service.js';
import type { AuthorityFence } from './authority-fence.js';
import type { HeldPositions } from './held-positions.js';
import { numberOf } from './image-request.js';
import type { ServiceContext } from './service-context.js';

/** The calls about the cluster; which implementation answers depends on what the node is for it. */
export interface ClusterMethods {
  listNodes(context: ServiceContext): Promise<wire.ListNodesResponse>;
  join(request: wire.JoinRequest): Promise<wire.JoinResponse>;
  announceNode(request: wire.AnnounceNodeRequest, context: ServiceContext): Promise<wire.AnnounceNodeResponse>;
  holdPosition(request: wire.HoldPositionRequest, context: ServiceContext): Promise<wire.HoldPositionResponse>;
  fenceAuthority(request: wire.FenceAuthorityRequest): Promise<wire.FenceAuthorityResponse>;
}

/** Proofs that an epoch was seen by a node of this cluster. */
export interface EpochProofs {
  prove(epoch: number): Buffer;
  proves(epoch: number, proof: Uint8Array): boolean;
}

/** What the authority has to let nodes in. */
export interface AuthorityFacts {
  readonly nodeId: NodeId;
  readonly registry: NodeRegistry;
  readonly clock: Clock;
  /** Tells whether a node has the cluster's key. */
  proves(nodeId: string, publicKey: string, proof: Uint8Array): boolean;
  /** Proofs of epochs, by the same key. */
  readonly epochs: EpochProofs;
  readonly fence: AuthorityFence;
  /** null: no change waits for a copy. */
  readonly held: HeldPositions | null;
  /** The epoch of the catalog, and the number that tells it from those of other clusters. */
  readonly epoch: () => number;
  readonly catalogId: () => number;
  /** Where the catalog is copied from, and a token for it that is good for `ttlMs`. */
  readonly syncUrl: string;
  mintReadToken(ttlMs: number): string;
}

/** How long a node may copy the catalog at least before it must join again. */
const SYNC_TOKEN_MS = 24 * 60 * 60 * 1000;
/** Tokens end at whole hours: who joins again within one gets the same, and its copying process goes on. */
const SYNC_TOKEN_STEP_MS = 60 * 60 * 1000;
const PUBLIC_KEY_MAX = 1000;

/** The calls as the authority of a cluster answers them. */
export class AuthorityMethods implements ClusterMethods {
  readonly #facts: AuthorityFacts;

  constructor(facts: AuthorityFacts) {
    this.#facts = facts;
  }

  async listNodes(): Promise<wire.ListNodesResponse> {
    return { nodes: (await this.#facts.registry.list()).map(nodeMessage) };
  }

  async join(request: wire.JoinRequest): Promise<wire.JoinResponse> {
    const { registry, clock, syncUrl } = this.#facts;
    const nodeId = nodeIdOf(request.nodeId);
    if (request.publicKey.length > PUBLIC_KEY_MAX || !request.publicKey.startsWith('-----BEGIN PUBLIC KEY-----'))
      throw new ServiceError('INVALID_ARGUMENT', 'public_key: expected an Ed25519 key in PEM');
    if (!this.#facts.proves(request.nodeId, request.publicKey, request.proof))
      throw new ServiceError(
        'UNAUTHENTICATED',
        'The node does not have the key of this cluster: give both the same file as catalog.cluster_key_file.',
      );
    this.#facts.fence.check();
    if (nodeId === this.#facts.nodeId)
      throw new ServiceError(
        'STATE_CONFLICT',
        `node ${nodeId} is the authority itself: a node with a copied data folder must lose its file node-id`,
      );
    await registry.join(nodeId, request.publicKey);
    const nowMs = clock.nowMs();
    const endsMs = Math.ceil((nowMs + SYNC_TOKEN_MS) / SYNC_TOKEN_STEP_MS) * SYNC_TOKEN_STEP_MS;
    return {
      syncUrl,
      syncToken: this.#facts.mintReadToken(endsMs - nowMs),
      syncTokenExpiresAt: new Date(endsMs),
      now: new Date(nowMs),
      authorityId: this.#facts.nodeId,
      epoch: BigInt(this.#facts.epoch()),
      catalogId: BigInt(this.#facts.catalogId()),
    };
  }

  async announceNode(request: wire.AnnounceNodeRequest, context: ServiceContext): Promise<wire.AnnounceNodeResponse> {
    const vouchedBy = await nodeThatCalls(context);
    this.#facts.fence.check();
    const { said, health } = announcementOf(vouchedBy, request.node ?? Node.fromPartial({}));
    await this.#facts.registry.announce({ ...said, role: 'edge' }, health);
    return { now: new Date(this.#facts.clock.nowMs()) };
  }

  async holdPosition(request: wire.HoldPositionRequest, context: ServiceContext): Promise<wire.HoldPositionResponse> {
    const node = await nodeThatCalls(context);
    const held = parsePosition(request.position);
    this.#facts.fence.check();
    if (this.#facts.held === null)
      throw new ServiceError('STATE_CONFLICT', 'This authority waits for no copy (catalog.durability is "primary").');
    return { position: positionText(await this.#facts.held.next(node, held, context.signal)) };
  }

  /** Also when it is fenced: whoever asks learns the epoch that it knows of. */
  fenceAuthority(request: wire.FenceAuthorityRequest): Promise<wire.FenceAuthorityResponse> {
    const { epochs, fence, epoch } = this.#facts;
    const seen = numberOf(request.epoch, 'epoch') ?? 0;
    if (!epochs.proves(seen, request.proof))
      return Promise.reject(new ServiceError('UNAUTHENTICATED', 'The epoch is not proved by the key of this cluster.'));
    fence.see(seen);
    const own = epoch();
    return Promise.resolve({ epoch: BigInt(own), proof: epochs.prove(own) });
  }
}

async function nodeThatCalls(context: ServiceContext): Promise<NodeId> {
  const { kind, vouchedBy } = await context.caller();
  if (kind === 'node' && vouchedBy !== undefined) return vouchedBy;
  throw new ServiceError('FORBIDDEN', 'Only nodes of this service may call this method.');
}

/** What a node's message says. */
function announcementOf(
  id: NodeId,
  node: Node,
): { readonly said: Omit<Announcement, 'role'>; readonly health: NodeHealth } {
  const { site, version, httpUrl, grpcAddress, stores, position, uploads } = node;
  if (grpcAddress !== '' && !isHostPort(grpcAddress))
    throw new ServiceError('INVALID_ARGUMENT', `grpc_address: expected HOST:PORT, found ${shown(grpcAddress)}`);
  if (httpUrl !== '' && !(URL.canParse(httpUrl) && /^https?:/.test(httpUrl)))
    throw new ServiceError('INVALID_ARGUMENT', `http_url: expected an http or https URL, found ${shown(httpUrl)}`);
  return {
    said: { id, site, version, httpUrl, grpcAddress, stores },
    health: {
      ...{ position, uploads },
      stalenessMs: numberOf(node.stalenessMs, 'staleness_ms') ?? 0,
      freeBytes: numberOf(node.freeBytes, 'free_bytes') ?? 0,
      totalBytes: numberOf(node.totalBytes, 'total_bytes') ?? 0,
    },
  };
}

/** Turns a node into its message. */
export function nodeMessage({ node, health, seenAtMs, alive }: KnownNode): Node {
  return {
    ...messageOf(node),
    seenAt: new Date(seenAtMs),
    alive,
    position: health?.position ?? '',
    stalenessMs: BigInt(Math.round(health?.stalenessMs ?? 0)),
    freeBytes: BigInt(health?.freeBytes ?? 0),
    totalBytes: BigInt(health?.totalBytes ?? 0),
    uploads: health?.uploads ?? 0,
  };
}

/** Turns what the catalog knows of a node into its message, without how it does. */
function messageOf(node: Omit<ClusterNode, 'publicKey' | 'seenAtMs'>): Node {
  const { id, site, version, httpUrl, grpcAddress, stores } = node;
  const role = node.role === 'authority' ? NodeRole.AUTHORITY : NodeRole.EDGE;
  return Node.fromPartial({ id, site, version, role, httpUrl, grpcAddress, stores: [...stores] });
}

/** Makes the message by which a node announces itself. */
export function announcementMessage(said: Announcement, health: NodeHealth): Node {
  const node: ClusterNode = { ...said, publicKey: '', seenAtMs: 0 };
  return nodeMessage({ node, health, seenAtMs: 0, alive: true });
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}

function nodeIdOf(text: string): NodeId {
  if (asImageId(text) === undefined) throw new ServiceError('INVALID_ARGUMENT', 'node_id: expected a UUID');
  return asNodeId(text);
}
