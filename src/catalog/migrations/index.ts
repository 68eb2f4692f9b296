import { SQL as initial } from './0001-initial.js';
import { SQL as rangeIndexes } from './0002-range-indexes.js';
import { SQL as nodes } from './0003-nodes.js';
import { SQL as feed } from './0004-feed.js';
import { SQL as imageWork } from './0005-image-work.js';
import { SQL as pendingDeletes } from './0006-pending-deletes.js';

/** The migrations in order; entry n has version n + 1. Forward only, and frozen once merged. */
export const MIGRATIONS: readonly string[] = [initial, rangeIndexes, nodes, feed, imageWork, pendingDeletes];
