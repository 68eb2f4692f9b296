/** `oriel image upload|copy|download|deactivate|reactivate|tag|untag`. */
import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { usageError } from '../base/service-error.js';
import type { Image } from '../gen/oriel/catalog/v1/image.js';
import type { NodeClient } from '../rpc/node-client.js';
import { type CommonOptions, nodeCommand, report, withClient } from './command.js';
import type { CliDeps } from './deps.js';
import { findImageId } from './find-image.js';
import { imageJson, imageText } from './image-words.js';
import { bytesText } from './output.js';
import { downloadFile, present, uploadFile } from './transfer.js';

/** Adds `upload`, `copy` and `download`. */
export function addTransfers(images: Command, deps: CliDeps): void {
  nodeCommand(images, 'upload <image> <file>', 'store a file as the data of an image; - reads the standard input')
    .option('--store <name>', 'store for the data (default: the default store)')
    .action(async (given: string, file: string, options: CommonOptions & { readonly store?: string }) => {
      const image = await withClient(options, deps, async (client) => {
        const imageId = await findImageId(client, given);
        return uploadFile(client, deps, { imageId, file, store: options.store ?? '' });
      });
      await report(deps, options, { json: imageJson(image), text: imageText(image) });
    });
  nodeCommand(images, 'copy <image>', 'copy the data of an image into another store of the node, and wait for it')
    .requiredOption('--store <name>', 'store for the copy')
    .addHelpText(
      'after',
      '\nFor administrators. The copy is verified before it counts; one that is interrupted leaves nothing.',
    )
    .action(async (given: string, options: CommonOptions & { readonly store: string }) => {
      const image = await withClient(options, deps, async (client) => {
        const imageId = await findImageId(client, given);
        return present((await client.data.copyImage({ imageId, store: options.store })).image);
      });
      await report(deps, options, { json: imageJson(image), text: imageText(image) });
    });
  nodeCommand(images, 'download <image> <file>', 'write the data of an image to a file; - writes the standard output')
    .option('--force', 'replace the file')
    .addHelpText('after', '\nThe data is verified by os_hash_value, or the checksum, before the file gets its name.')
    .action(async (given: string, file: string, options: CommonOptions & { readonly force?: boolean }) => {
      const result = await withClient(options, deps, async (client) => {
        const imageId = await findImageId(client, given);
        return { imageId, ...(await downloadFile(client, deps, { imageId, file, force: options.force ?? false })) };
      });
      // The standard output has the data.
      if (file === '-') return;
      const { sizeBytes, verified } = result;
      const how = verified === null ? 'not verified: the image has no digest' : `${verified.algorithm} verified`;
      await report(deps, options, {
        json: { id: result.imageId, file, size: sizeBytes, verified },
        text: `${file}: ${bytesText(sizeBytes)}, ${how}\n`,
      });
    });
}

/** Adds `deactivate` and `reactivate`. */
export function addActivation(images: Command, deps: CliDeps): void {
  const action =
    (
      call: (client: NodeClient, request: { id: string; requestId: string }) => Promise<{ image?: Image | undefined }>,
    ) =>
    async (given: string, options: CommonOptions): Promise<void> => {
      const image = await withClient(options, deps, async (client) => {
        const id = await findImageId(client, given);
        return present((await call(client, { id, requestId: randomUUID() })).image);
      });
      await report(deps, options, { json: imageJson(image), text: imageText(image) });
    };
  nodeCommand(images, 'deactivate <image>', 'block the data for everyone but administrators').action(
    action(async (client, request) => client.catalog.deactivateImage(request)),
  );
  nodeCommand(images, 'reactivate <image>', 'unblock the data').action(
    action(async (client, request) => client.catalog.reactivateImage(request)),
  );
}

/** Adds `tag` and `untag`. */
export function addTags(images: Command, deps: CliDeps): void {
  const action =
    (verb: 'tagged' | 'untagged') =>
    async (given: string, tags: readonly string[], options: CommonOptions): Promise<void> => {
      // The Images API has no way to name an empty one; one that is there may go.
      if (verb === 'tagged' && tags.includes('')) throw usageError('a tag is empty: expected 1 to 255 characters');
      const imageId = await withClient(options, deps, async (client) => {
        const id = await findImageId(client, given);
        for (const tag of tags) {
          const request = { imageId: id, tag, requestId: randomUUID() };
          await (verb === 'tagged' ? client.catalog.addImageTag(request) : client.catalog.removeImageTag(request));
        }
        return id;
      });
      await report(deps, options, { json: { id: imageId, [verb]: tags }, text: `${verb} ${imageId}\n` });
    };
  nodeCommand(images, 'tag <image> <tag...>', 'add tags').action(action('tagged'));
  nodeCommand(images, 'untag <image> <tag...>', 'remove tags').action(action('untagged'));
}
