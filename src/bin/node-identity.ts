import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { asNodeId, type NodeId } from '../base/brand.js';

/** Returns the id of the node that owns the data folder; the first start makes it. */
export function nodeIdOf(dataDir: string): NodeId {
  const file = join(dataDir, 'node-id');
  try {
    writeFileSync(file, `${randomUUID()}\n`, { flag: 'wx', mode: 0o640 });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  return asNodeId(readFileSync(file, 'utf8').trim());
}
