/** `oriel node cache list|add|remove|clear|clean|prune|pin|unpin`: the cache of the node that is asked. */
import type { Command } from 'commander';
import { type CachedImage, CacheClearTarget } from '../gen/oriel/node/v1/node_cache.js';
import type { NodeClient } from '../rpc/node-client.js';
import { type CommonOptions, nodeCommand, report, withClient, wordOption } from './command.js';
import type { CliDeps } from './deps.js';
import { findImageId } from './find-image.js';
import { alignRows, bytesText } from './output.js';

const TARGETS: ReadonlyMap<string, CacheClearTarget> = new Map([
  ['all', CacheClearTarget.UNSPECIFIED],
  ['cache', CacheClearTarget.CACHE],
  ['queue', CacheClearTarget.QUEUE],
]);

/** Adds `oriel node cache`. */
export function addCache(node: Command, deps: CliDeps): void {
  const cache = node.command('cache').description('what a node keeps of images whose data lies elsewhere');
  nodeCommand(cache, 'list', 'the images that are cached or queued').action(async (options: CommonOptions) => {
    const { images, heldBytes, maxBytes } = await withClient(options, deps, listAll);
    const rows = images.map(cachedRow);
    await report(deps, options, {
      json: { held_bytes: heldBytes, max_bytes: maxBytes, images: images.map(cachedJson) },
      text: `${alignRows([HEAD, ...rows], [])}\n${bytesText(heldBytes)} of ${bytesText(maxBytes)} used\n`,
    });
  });
  imageCommand(cache, deps, {
    ...{ usage: 'add <image>', description: 'fetch all of an image, in the background', said: 'queued' },
    call: (client, imageId) => client.node.cacheImage({ imageId }),
  });
  imageCommand(cache, deps, {
    ...{ usage: 'remove <image>', description: 'remove an image from the cache and its queue', said: 'removed' },
    call: (client, imageId) => client.node.removeCachedImage({ imageId }),
  });
  imageCommand(cache, deps, {
    ...{ usage: 'pin <image>', description: 'keep what is cached of an image, now and later', said: 'pinned' },
    call: (client, imageId) => client.node.pinCachedImage({ imageId, pinned: true }),
  });
  imageCommand(cache, deps, {
    ...{ usage: 'unpin <image>', description: 'let an image go when room is needed', said: 'unpinned' },
    call: (client, imageId) => client.node.pinCachedImage({ imageId, pinned: false }),
  });
  addUpkeep(cache, deps);
}

function addUpkeep(cache: Command, deps: CliDeps): void {
  nodeCommand(cache, 'clear', 'remove everything that is cached or queued')
    .addOption(wordOption('--only <what>', 'what is removed', [...TARGETS.keys()]).default('all'))
    .action(async (options: CommonOptions & { readonly only: string }) => {
      const target = TARGETS.get(options.only) ?? CacheClearTarget.UNSPECIFIED;
      await withClient(options, deps, (client) => client.node.clearCache({ target }));
      await report(deps, options, { json: { cleared: options.only }, text: 'cleared\n' });
    });
  nodeCommand(cache, 'clean', 'remove images that were deleted or have other data since').action(
    async (options: CommonOptions) => {
      const { removedImages } = await withClient(options, deps, (client) => client.node.cleanCache({}));
      await report(deps, options, {
        json: { removed_images: removedImages },
        text: `${removedImages} images removed\n`,
      });
    },
  );
  nodeCommand(cache, 'prune', 'remove what is more than the cache may hold').action(async (options: CommonOptions) => {
    const pruned = await withClient(options, deps, (client) => client.node.pruneCache({}));
    const prunedBytes = Number(pruned.prunedBytes);
    await report(deps, options, {
      json: { pruned_images: pruned.prunedImages, pruned_bytes: prunedBytes },
      text: `${pruned.prunedImages} images with ${bytesText(prunedBytes)} removed\n`,
    });
  });
}

interface ImageCall {
  readonly usage: string;
  readonly description: string;
  /** What happened to the image, for the answer. */
  readonly said: string;
  readonly call: (client: NodeClient, imageId: string) => Promise<unknown>;
}

function imageCommand(cache: Command, deps: CliDeps, { usage, description, said, call }: ImageCall): void {
  nodeCommand(cache, usage, description).action(async (image: string, options: CommonOptions) => {
    const imageId = await withClient(options, deps, async (client) => {
      const found = await findImageId(client, image);
      await call(client, found);
      return found;
    });
    await report(deps, options, { json: { image_id: imageId, [said]: true }, text: `${imageId} ${said}\n` });
  });
}

async function listAll(
  client: NodeClient,
): Promise<{ readonly images: readonly CachedImage[]; readonly heldBytes: number; readonly maxBytes: number }> {
  const images: CachedImage[] = [];
  for (let pageToken = ''; ; ) {
    const page = await client.node.listCachedImages({ pageToken });
    images.push(...page.cachedImages);
    pageToken = page.nextPageToken;
    if (pageToken === '') return { images, heldBytes: Number(page.heldBytes), maxBytes: Number(page.maxBytes) };
  }
}

const HEAD = ['IMAGE', 'CACHED', 'SIZE', 'HITS', 'READ', 'STATE'];

function cachedRow(image: CachedImage): string[] {
  const state = [image.queued ? 'queued' : '', image.pinned ? 'pinned' : ''].filter((word) => word !== '');
  return [
    ...[image.imageId, bytesText(Number(image.cachedBytes)), bytesText(Number(image.size)), String(image.hits)],
    ...[image.lastAccessedAt?.toISOString() ?? '-', state.join(', ') || '-'],
  ];
}

function cachedJson(image: CachedImage): object {
  return {
    ...{ image_id: image.imageId, cached_bytes: Number(image.cachedBytes), size: Number(image.size) },
    ...{ hits: Number(image.hits), last_accessed_at: image.lastAccessedAt?.toISOString() ?? null },
    ...{ last_modified_at: image.lastModifiedAt?.toISOString() ?? null },
    ...{ pinned: image.pinned, queued: image.queued },
  };
}
