/** `oriel image repair|restore`. */
import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { type CommonOptions, nodeCommand, report, withClient } from './command.js';
import type { CliDeps } from './deps.js';
import { findImageId } from './find-image.js';
import { imageJson, imageText } from './image-words.js';
import { reportLocations } from './location-commands.js';
import { present } from './transfer.js';

/** Adds `repair` and `restore`. */
export function addCare(images: Command, deps: CliDeps): void {
  nodeCommand(images, 'repair <image>', 'have its nodes check the data of an image, and replace what is damaged')
    .addHelpText(
      'after',
      '\nFor administrators. The nodes do it in the background; "image locations" shows what came of it.',
    )
    .action(async (given: string, options: CommonOptions) => {
      const { locations } = await withClient(options, deps, async (client) =>
        client.catalog.repairImage({ imageId: await findImageId(client, given), requestId: randomUUID() }),
      );
      await reportLocations(deps, options, locations);
    });
  nodeCommand(images, 'restore <id>', 'bring a deleted image back whose data is still kept (images.delayed_delete)')
    .addHelpText('after', '\nFor administrators. A deleted image has no name that could be looked up.')
    .action(async (id: string, options: CommonOptions) => {
      const image = await withClient(options, deps, async (client) =>
        present((await client.catalog.restoreImage({ id, requestId: randomUUID() })).image),
      );
      await report(deps, options, { json: imageJson(image), text: imageText(image) });
    });
}
