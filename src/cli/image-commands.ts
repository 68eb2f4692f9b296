/** `oriel image create|list|show|update|delete`. */
import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { ServiceError } from '../base/service-error.js';
import { type Image, ImageVisibility } from '../gen/oriel/catalog/v1/image.js';
import type { NodeClient } from '../rpc/node-client.js';
import {
  collect,
  collectPairs,
  type CommonOptions,
  nodeCommand,
  report,
  wholeNumber,
  withClient,
  wordOption,
} from './command.js';
import type { CliDeps } from './deps.js';
import { findImageId } from './find-image.js';
import { enumOf, imageJson, imageText, VISIBILITY_WORDS } from './image-words.js';
import { changesOf, type UpdateOptions } from './image-changes.js';
import { write } from './output.js';
import { present, uploadFile } from './transfer.js';

interface CreateOptions extends CommonOptions {
  readonly id?: string;
  readonly file?: string;
  readonly store?: string;
  readonly diskFormat?: string;
  readonly containerFormat?: string;
  readonly visibility?: string;
  readonly owner?: string;
  readonly property?: ReadonlyMap<string, string>;
  readonly tag?: readonly string[];
  readonly minDisk?: number;
  readonly minRam?: number;
  readonly protected?: boolean;
  readonly hidden?: boolean;
}

/** Adds `create`. */
export function addCreate(images: Command, deps: CliDeps): void {
  nodeCommand(images, 'create <name>', 'make an image, with --file its data too')
    .option('--file <file>', 'data of the image; - reads the standard input')
    .option('--id <uuid>', 'id of the image (default: the node chooses)')
    .option('--store <name>', 'store for the data (default: the default store)')
    .option('--disk-format <format>', 'format of the disk: raw, qcow2, … (default with --file: raw)')
    .option('--container-format <format>', 'format of the container (default with --file: bare)')
    .addOption(wordOption('--visibility <word>', 'who sees it (default: shared)', VISIBILITY_WORDS))
    .option('--owner <project>', 'project that owns it; administrators only')
    .option('--property <key=value>', 'custom property; several times', collectPairs)
    .option('--tag <tag>', 'tag; several times', collect)
    .option('--min-disk <gib>', 'disk it needs', wholeNumber)
    .option('--min-ram <mib>', 'memory it needs', wholeNumber)
    .option('--protected', 'refuse deletion')
    .option('--hidden', 'leave it out of lists')
    .addHelpText('after', CREATE_EXAMPLES)
    .action(async (name: string, options: CreateOptions) => {
      const image = await withClient(options, deps, async (client) => createImage(client, deps, name, options));
      await report(deps, options, { json: imageJson(image), text: imageText(image) });
    });
}

const CREATE_EXAMPLES = `
Examples:
  oriel image create cirros --file cirros.qcow2 --disk-format qcow2 --visibility public
  zcat disk.raw.gz | oriel image create disk --file - --property os_distro=debian --tag ci`;

async function createImage(client: NodeClient, deps: CliDeps, name: string, options: CreateOptions): Promise<Image> {
  // Data needs formats; these are what a plain disk file is.
  const [diskFormat, containerFormat] = options.file === undefined ? [] : ['raw', 'bare'];
  const created = await client.catalog.createImage({
    requestId: randomUUID(),
    id: options.id,
    name,
    visibility: visibilityOf(options.visibility),
    owner: options.owner === undefined ? undefined : { projectId: options.owner },
    protected: options.protected ?? false,
    osHidden: options.hidden ?? false,
    diskFormat: options.diskFormat ?? diskFormat,
    containerFormat: options.containerFormat ?? containerFormat,
    minDisk: options.minDisk ?? 0,
    minRam: options.minRam ?? 0,
    tags: [...(options.tag ?? [])],
    properties: new Map(options.property ?? []),
  });
  const image = present(created.image);
  if (options.file === undefined) return image;
  try {
    return await uploadFile(client, deps, { imageId: image.id, file: options.file, store: options.store ?? '' });
  } catch (error) {
    throw await withoutRecord(image, options, deps, error);
  }
}

/** Removes the record of an image whose upload failed, and returns the error to report. */
async function withoutRecord(image: Image, options: CreateOptions, deps: CliDeps, failure: unknown): Promise<unknown> {
  // A client of its own: that of the upload is aborted when the command was interrupted.
  const fresh: CliDeps = { ...deps, signal: new AbortController().signal };
  try {
    await withClient(options, fresh, async (client) => {
      if (image.protected) {
        const changes = [{ change: { $case: 'protected' as const, value: false } }];
        await client.catalog.updateImage({ id: image.id, requestId: randomUUID(), changes });
      }
      await client.catalog.deleteImage({ id: image.id, requestId: randomUUID() });
    });
    return failure;
  } catch (error) {
    // Both are told: the record needs a hand.
    const why = error instanceof Error ? error.message : String(error);
    const first = failure instanceof Error ? failure.message : String(failure);
    const reason = failure instanceof ServiceError ? failure.reason : 'INTERNAL';
    const message = `${first}\nThe record ${image.id} is left, as it could not be deleted: ${why}`;
    return new ServiceError(reason, message, { cause: failure });
  }
}

/** Adds `show`, `update` and `delete`. */
export function addShowUpdateDelete(images: Command, deps: CliDeps): void {
  nodeCommand(images, 'show <image>', 'show an image, by id or name').action(
    async (given: string, options: CommonOptions) => {
      const image = await withClient(options, deps, async (client) => {
        const id = await findImageId(client, given);
        return present((await client.catalog.getImage({ id })).image);
      });
      await report(deps, options, { json: imageJson(image), text: imageText(image) });
    },
  );
  addUpdateOptions(nodeCommand(images, 'update <image>', 'change an image')).action(
    async (given: string, options: UpdateOptions & CommonOptions) => {
      const changes = changesOf(options);
      const image = await withClient(options, deps, async (client) => {
        const id = await findImageId(client, given);
        const expectVersion = options.expectVersion === undefined ? undefined : BigInt(options.expectVersion);
        return present(
          (await client.catalog.updateImage({ id, requestId: randomUUID(), expectVersion, changes })).image,
        );
      });
      await report(deps, options, { json: imageJson(image), text: imageText(image) });
    },
  );
  nodeCommand(images, 'delete <image...>', 'delete images, by id or name').action(
    async (given: readonly string[], options: CommonOptions) => {
      await withClient(options, deps, async (client) => {
        // All names are looked up before the first image goes.
        const ids: string[] = [];
        for (const name of given) ids.push(await findImageId(client, name));
        for (const id of ids) {
          await client.catalog.deleteImage({ id, requestId: randomUUID() });
          await write(deps.stdout, options.json === true ? `${JSON.stringify({ deleted: id })}\n` : `deleted ${id}\n`);
        }
      });
    },
  );
}

function addUpdateOptions(command: Command): Command {
  return command
    .option('--name <name>', 'display name')
    .addOption(wordOption('--visibility <word>', 'who sees it', VISIBILITY_WORDS))
    .option('--owner <project>', 'project that owns it; administrators only')
    .option('--disk-format <format>', 'format of the disk; before it has data')
    .option('--container-format <format>', 'format of the container; before it has data')
    .option('--property <key=value>', 'set a custom property; several times', collectPairs)
    .option('--remove-property <key>', 'remove a custom property; several times', collect)
    .option('--tag <tag>', 'replace all tags by those given; several times', collect)
    .option('--clear-tags', 'remove all tags')
    .option('--min-disk <gib>', 'disk it needs', wholeNumber)
    .option('--min-ram <mib>', 'memory it needs', wholeNumber)
    .option('--protected', 'refuse deletion')
    .option('--no-protected', 'allow deletion')
    .option('--hidden', 'leave it out of lists')
    .option('--no-hidden', 'put it into lists')
    .option('--expect-version <n>', 'refuse when the image has another version', wholeNumber)
    .addHelpText('after', '\nExample:\n  oriel image update cirros --property os_distro=cirros --no-protected');
}

function visibilityOf(word: string | undefined): ImageVisibility {
  return word === undefined ? ImageVisibility.UNSPECIFIED : enumOf(ImageVisibility, 'IMAGE_VISIBILITY_', word);
}
