/** `oriel image locations|repair|restore`. */
import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import type { ImageLocation } from '../gen/oriel/catalog/v1/image.js';
import { type CommonOptions, nodeCommand, report, withClient } from './command.js';
import type { CliDeps } from './deps.js';
import { findImageId } from './find-image.js';
import { imageJson, imageText, wordOf } from './image-words.js';
import { alignRows } from './output.js';
import { present } from './transfer.js';

/** Adds `locations`, `repair` and `restore`. */
export function addCare(images: Command, deps: CliDeps): void {
  nodeCommand(images, 'locations <image>', 'where the data of an image lies, and in what state; administrators').action(
    async (given: string, options: CommonOptions) => {
      const { locations } = await withClient(options, deps, async (client) =>
        client.catalog.listImageLocations({ imageId: await findImageId(client, given) }),
      );
      await reportLocations(deps, options, locations);
    },
  );
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

const HEAD = ['STATE', 'STORE', 'NODE', 'OURS', 'URL'];

function reportLocations(deps: CliDeps, options: CommonOptions, locations: readonly ImageLocation[]): Promise<void> {
  const stateOf = ({ digestState }: ImageLocation): string => wordOf(digestState, 'LOCATION_DIGEST_STATE_');
  const rows = locations.map((location) => [
    ...[stateOf(location), location.store, location.node || '-'],
    ...[location.created ? 'yes' : 'no', location.url],
  ]);
  return report(deps, options, {
    json: locations.map((location) => ({
      ...{ id: location.id, store: location.store, node: location.node, url: location.url },
      ...{ state: stateOf(location), created: location.created },
    })),
    text: alignRows([HEAD, ...rows], []),
  });
}
