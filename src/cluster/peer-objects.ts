/** Objects of other nodes, read by HTTP ranges from the node that has them: `GET /oriel/v1/objects/{location}`. */
import { Agent, request } from 'undici';
import type { NodeId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { ByteRange } from '../application/ports/image-store.js';
import type { PeerObjects } from '../application/ports/peer-objects.js';
import type { ClusterNode } from '../domain/cluster-node.js';
import type { Location } from '../domain/location.js';

const ANSWER_MS = 10_000;
const IDLE_MS = 60_000;

export interface PeerObjectsOptions {
  /** The node as the catalog knows it; null: the authority. */
  find(nodeId: NodeId | null): Promise<ClusterNode | undefined>;
  /** This node's statement about itself. */
  sign(): string;
  /** PEM texts of this node's certificate and of the authority of all; undefined: no TLS between nodes. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string } | undefined;
}

export class HttpPeerObjects implements PeerObjects {
  readonly #options: PeerObjectsOptions;
  readonly #agent: Agent;

  constructor(options: PeerObjectsOptions) {
    this.#options = options;
    this.#agent = new Agent({
      headersTimeout: ANSWER_MS,
      bodyTimeout: IDLE_MS,
      connect: { timeout: ANSWER_MS, ...options.tls },
    });
  }

  async open(
    location: Parameters<PeerObjects['open']>[0],
    range: ByteRange,
    { sizeBytes, signal }: { readonly sizeBytes: number; readonly signal: AbortSignal },
  ): Promise<AsyncIterable<Uint8Array>> {
    if (range.lengthBytes === 0) return nothing();
    const node = await this.#options.find(location.nodeId);
    if (node === undefined || node.httpUrl === '')
      throw new ServiceError('UNAVAILABLE', `The node that holds location ${location.id} has not announced itself.`);
    const url = new URL(`/oriel/v1/objects/${encodeURIComponent(location.id)}`, node.httpUrl);
    url.searchParams.set('store', location.storeId);
    url.searchParams.set('key', location.key);
    url.searchParams.set('size', String(sizeBytes));
    const last = range.offsetBytes + range.lengthBytes - 1;
    const headers = { 'x-oriel-statement': this.#options.sign(), range: `bytes=${range.offsetBytes}-${last}` };
    const response = await request(url, { headers, signal, dispatcher: this.#agent }).catch((cause: unknown) => {
      throw signal.aborted ? signal.reason : unreachable(node, cause);
    });
    if (response.statusCode !== 206) {
      await response.body.dump();
      throw refusal(node, response.statusCode, location);
    }
    return chunksOf(response.body, { node, lengthBytes: range.lengthBytes, signal });
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

async function* chunksOf(
  body: AsyncIterable<Uint8Array>,
  { node, lengthBytes, signal }: { node: ClusterNode; lengthBytes: number; signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  let cameBytes = 0;
  try {
    for await (const chunk of body) {
      cameBytes += chunk.length;
      yield chunk;
    }
  } catch (cause) {
    throw signal.aborted ? signal.reason : unreachable(node, cause);
  }
  if (cameBytes !== lengthBytes)
    throw new ServiceError('UPSTREAM_FAILED', `node ${node.id} sent ${cameBytes} of ${lengthBytes} bytes`);
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // An empty range has no bytes to ask another node for.
}

function unreachable(node: ClusterNode, cause: unknown): ServiceError {
  const where = `node ${node.id} at site ${node.site}`;
  return new ServiceError('UNAVAILABLE', `The data lies at ${where}, which does not answer.`, { cause });
}

function refusal(node: ClusterNode, status: number, location: Pick<Location, 'id'>): ServiceError {
  const reason = status === 404 ? 'NOT_FOUND' : status >= 500 ? 'UNAVAILABLE' : 'UPSTREAM_FAILED';
  return new ServiceError(reason, `node ${node.id} answered ${status} for location ${location.id}`);
}
