import type { ImageId, NodeId } from '../base/brand.js';
import type { ImageWork } from '../domain/image-work.js';
import type { DataContext } from './data-context.js';
import { writeDecided } from './write-decided.js';

const PAGE = 100;

/**
 * Makes the hashing of other nodes this node's: data is found, and read for its digests, by the authority alone, so they were it
 * once. What this node cannot read is given up as any other data that cannot be read. Returns how many pieces there were.
 */
export async function takeHashing(context: DataContext): Promise<number> {
  const nodes = await context.catalog.read((reader) => reader.nodes());
  let taken = 0;
  for (const { id } of nodes) if (id !== context.nodeId) taken += await takeFrom(context, id);
  return taken;
}

async function takeFrom(context: DataContext, nodeId: NodeId): Promise<number> {
  let taken = 0;
  let after: ImageWork | undefined;
  for (;;) {
    const page = await context.catalog.read((reader) => reader.work(nodeId, after, PAGE));
    for (const { kind, imageId } of page) {
      if (kind !== 'hash') continue;
      await take(context, nodeId, imageId);
      taken += 1;
    }
    after = page.at(-1);
    if (page.length < PAGE) return taken;
  }
}

async function take(context: DataContext, nodeId: NodeId, imageId: ImageId): Promise<void> {
  const operation = { opId: context.ids.uuid(), subject: imageId, repeatable: false };
  await writeDecided(context, { id: imageId, operation }, (reader) => {
    const work = reader.workOf({ nodeId, kind: 'hash', imageId });
    if (work === undefined) return { result: undefined, effects: [] };
    const mine = { ...work, nodeId: context.nodeId };
    return {
      result: undefined,
      effects: [
        { kind: 'put-work', work: mine },
        { kind: 'remove-work', work },
      ],
    };
  });
}
