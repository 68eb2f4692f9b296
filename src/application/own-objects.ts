import type { NodeId } from '../base/brand.js';

/** Which node this is, for telling its own objects from those of others. */
export interface OwnNode {
  readonly nodeId: NodeId;
  /** Objects of no named node are this one's: true for a single node and the authority of a cluster. */
  readonly ownsUnnamed: boolean;
}

/** Tells whether an object lies in a store of this node. */
export function isOwn(own: OwnNode, object: { readonly nodeId: NodeId | null }): boolean {
  return object.nodeId === null ? own.ownsUnnamed : object.nodeId === own.nodeId;
}
