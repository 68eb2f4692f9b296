import type { Garbage } from './catalog.js';

/** What a node tells the catalog's authority of its own accord. On a single node and at the authority these are use cases. */
export interface NodeCommands {
  /** Gives up an upload that was leased to this node. STATE_CONFLICT: it was committed or given up before. */
  abortUpload(lease: { readonly uploadId: string; readonly imageId: string }): Promise<void>;
  /** Forgets objects that are removed from this node's stores. */
  forgetGarbage(rows: readonly Garbage[]): Promise<void>;
}
