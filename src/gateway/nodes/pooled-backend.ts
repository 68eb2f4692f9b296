import type { GatewayBackend, GatewayLog, Readiness } from '../gateway-options.js';
import { CallerPositions } from './caller-positions.js';
import { type GatewayNode, NodePool } from './node-pool.js';
import { pooledBytes } from './pooled-bytes.js';
import { pooledCatalog, pooledNode } from './pooled-services.js';

/** The services of several nodes as one. */
export interface PooledBackend extends GatewayBackend {
  readiness(): Readiness;
  /** Checks every node now; resolves when all have answered or failed. */
  check(): Promise<void>;
  close(): void;
}

/** Makes one backend of the nodes, the first of which that answers gets the calls. */
export function createPooledBackend(nodes: readonly GatewayNode[], log: GatewayLog): PooledBackend {
  const pool = new NodePool(nodes, log);
  const positions = new CallerPositions();
  return {
    catalog: pooledCatalog(pool, positions),
    node: pooledNode(pool, positions),
    bytes: pooledBytes(pool, positions),
    readiness: () => pool.readiness(),
    check: () => pool.check(),
    close: () => pool.close(),
  };
}
