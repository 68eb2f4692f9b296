import type { Log } from '../application/log.js';
import type { NodeId } from '../base/brand.js';
import type { PrimaryCatalog } from '../catalog/primary/open-primary-catalog.js';
import { FencePeers } from '../cluster/fence-peers.js';
import type { Config } from '../config/config.js';
import type { ClusterKey, EpochProofs } from '../identity/cluster-key.js';
import { AuthorityFence } from '../services/authority-fence.js';
import { clusterTlsOf } from './tls-files.js';

/** An authority that comes back after it was replaced writes for so long at most, where this one can reach it. */
const TELL_FORMER_EVERY_MS = 2000;

export interface AuthorityFencing {
  readonly fence: AuthorityFence;
  readonly epochs: EpochProofs;
  /** Tells former authorities of this one, again and again, until what it returns is called. */
  readonly tellFormer: () => () => void;
}

/**
 * Makes the fence of an authority, and asks the nodes that it knows whether it was replaced before anybody can ask it to
 * write. UNAVAILABLE: it was; the catalog is closed then.
 */
export async function openFencing(
  opened: PrimaryCatalog,
  parts: { readonly config: Config; readonly nodeId: NodeId; readonly clusterKey: ClusterKey; readonly log: Log },
): Promise<AuthorityFencing> {
  const { config, nodeId, clusterKey, log } = parts;
  const { catalog } = opened;
  const tls = clusterTlsOf(config);
  const fence = new AuthorityFence({
    epoch: () => catalog.epochOnFile(),
    fence: (epoch, refusal) => opened.fence(epoch, refusal),
  });
  const epochs = clusterKey.epochsOf(() => catalog.catalogId());
  const peers = new FencePeers({
    nodes: async () => (await catalog.read((reader) => reader.nodes())).filter(({ id }) => id !== nodeId),
    epoch: () => catalog.status().position.epoch,
    epochs,
    seen: (epoch) => fence.see(epoch),
    addressOf: (node) => ({ node, token: undefined, ca: tls?.caFile, cert: tls?.certFile, key: tls?.keyFile }),
    log,
  });
  try {
    await peers.askAll();
    fence.check();
  } catch (error) {
    await opened.close();
    throw error;
  }
  return {
    fence,
    epochs,
    tellFormer() {
      const timer = setInterval(() => {
        peers
          .tellFormer()
          .catch((error: unknown) => log.warn({ err: error }, 'former authorities could not be told of this one'));
      }, TELL_FORMER_EVERY_MS);
      return () => clearInterval(timer);
    },
  };
}
