import type { Catalog } from '../application/ports/catalog.js';
import type { NodeId } from '../base/brand.js';
import type { ClusterNode } from '../domain/cluster-node.js';

/** Finds a node in the catalog; null: the authority. */
export function findNode(catalog: Pick<Catalog, 'read'>, id: NodeId | null): Promise<ClusterNode | undefined> {
  return catalog.read((reader) =>
    id === null ? reader.nodes().find(({ role }) => role === 'authority') : reader.node(id),
  );
}
