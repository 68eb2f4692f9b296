/** `oriel image locations|add-location`. */
import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import type { ImageLocation } from '../gen/oriel/catalog/v1/image.js';
import { collectPairs, type CommonOptions, nodeCommand, report, withClient } from './command.js';
import type { CliDeps } from './deps.js';
import { findImageId } from './find-image.js';
import { imageJson, imageText, locationJson, wordOf } from './image-words.js';
import { alignRows } from './output.js';
import { present } from './transfer.js';

/** OURS: the service made the object, and removes it. */
const HEADS: readonly string[] = ['STATE', 'STORE', 'NODE', 'OURS', 'URL'];

/** Adds `locations` and `add-location`. */
export function addLocations(images: Command, deps: CliDeps): void {
  nodeCommand(
    images,
    'locations <image>',
    'where the data of an image lies, and in what state; for administrators and services',
  ).action(async (given: string, options: CommonOptions) => {
    const locations = await withClient(options, deps, async (client) => {
      const imageId = await findImageId(client, given);
      return (await client.catalog.listImageLocations({ imageId })).locations;
    });
    await reportLocations(deps, options, locations);
  });
  nodeCommand(images, 'add-location <image> <url>', 'name a place where the data of an image lies already')
    .option('--metadata <key=value>', 'metadata of the location; again for more', collectPairs)
    .addHelpText(
      'after',
      '\nAn image without data becomes active by it; it needs its formats before. Its data is read in the background.\n' +
        'http and https URLs: for owners, where an http store is configured. s3 and swift: for administrators and services.',
    )
    .action(
      async (
        given: string,
        url: string,
        options: CommonOptions & { readonly metadata?: ReadonlyMap<string, string> },
      ) => {
        const image = await withClient(options, deps, async (client) => {
          const id = await findImageId(client, given);
          const add = { url, metadata: new Map(options.metadata) };
          const value = { action: { $case: 'add' as const, value: add } };
          const changes = [{ change: { $case: 'location' as const, value } }];
          return present((await client.catalog.updateImage({ id, requestId: randomUUID(), changes })).image);
        });
        await report(deps, options, { json: imageJson(image), text: imageText(image) });
      },
    );
}

/** Writes where the data lies, and in what state. */
export function reportLocations(
  deps: CliDeps,
  options: CommonOptions,
  locations: readonly ImageLocation[],
): Promise<void> {
  const stateOf = ({ digestState }: ImageLocation): string => wordOf(digestState, 'LOCATION_DIGEST_STATE_');
  const rows = locations.map((location) => [
    ...[stateOf(location), location.store, location.node || '-'],
    ...[location.created ? 'yes' : 'no', location.url],
  ]);
  return report(deps, options, {
    json: locations.map((location) => ({
      ...locationJson(location),
      ...{ node: location.node, state: stateOf(location), created: location.created },
    })),
    text: alignRows([HEADS, ...rows], []),
  });
}
