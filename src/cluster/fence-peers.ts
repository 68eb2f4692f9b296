import type { Log } from '../application/log.js';
import type { ClusterNode } from '../domain/cluster-node.js';
import { connect, type NodeAddress, type NodeClient } from '../rpc/node-client.js';

const DEADLINE_MS = 2000;

export interface FencePeersOptions {
  /** The nodes of the cluster, this one left out. */
  readonly nodes: () => Promise<readonly ClusterNode[]>;
  /** The epoch of this authority's catalog. */
  readonly epoch: () => number;
  /** Of what another answers. */
  readonly epochs: {
    readonly prove: (epoch: number) => Buffer;
    readonly proves: (epoch: number, proof: Uint8Array) => boolean;
  };
  /** Called with an epoch that another node has seen. */
  readonly seen: (epoch: number) => void;
  /** How to reach a node's gRPC address. */
  readonly addressOf: (grpcAddress: string) => NodeAddress;
  readonly log: Log;
}

/**
 * Asks the other nodes which epoch they have seen, and tells them this one's: an authority that was replaced learns of it, be
 * it this one or another that has come back.
 */
export class FencePeers {
  readonly #options: FencePeersOptions;
  /** Those that did not answer, which is logged once. */
  readonly #silent = new Set<string>();

  constructor(options: FencePeersOptions) {
    this.#options = options;
  }

  /** Asks them all, at the start. Those that do not answer in two seconds are left out. */
  async askAll(): Promise<void> {
    await this.#ask(await this.#options.nodes());
  }

  /** Tells former authorities alone; for every some seconds. */
  async tellFormer(): Promise<void> {
    await this.#ask((await this.#options.nodes()).filter(({ role }) => role === 'authority'));
  }

  async #ask(nodes: readonly ClusterNode[]): Promise<void> {
    await Promise.all(nodes.filter(({ grpcAddress }) => grpcAddress !== '').map((node) => this.#askOne(node)));
  }

  async #askOne({ id, grpcAddress }: ClusterNode): Promise<void> {
    const { epochs, epoch, seen, addressOf, log } = this.#options;
    let client: NodeClient | undefined;
    try {
      client = connect(addressOf(grpcAddress), AbortSignal.timeout(DEADLINE_MS));
      const own = epoch();
      const answer = await client.node.fenceAuthority({ epoch: BigInt(own), proof: epochs.prove(own) });
      const theirs = Number(answer.epoch);
      this.#silent.delete(id);
      if (epochs.proves(theirs, answer.proof)) seen(theirs);
    } catch (error) {
      // Most often it is down; a node of an earlier release does not know the question.
      if (!this.#silent.has(id)) log.info({ err: error, node: id }, 'a node does not tell which epoch it has seen');
      this.#silent.add(id);
    } finally {
      client?.close();
    }
  }
}
