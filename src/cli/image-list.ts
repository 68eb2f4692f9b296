/** `oriel image list`. */
import { type Command, InvalidArgumentError } from 'commander';
import { type Image, ImageStatus } from '../gen/oriel/catalog/v1/image.js';
import {
  type ImageFilter,
  MemberStatusScope,
  SortField,
  type SortKey,
  VisibilityScope,
} from '../gen/oriel/catalog/v1/image_filter.js';
import type { NodeClient } from '../rpc/node-client.js';
import {
  collect,
  collectPairs,
  type CommonOptions,
  nodeCommand,
  wholeNumber,
  withClient,
  wordOption,
} from './command.js';
import type { CliDeps } from './deps.js';
import { enumOf, IMAGE_HEADS, imageJson, imageRow, wordOf } from './image-words.js';
import { alignRows, write } from './output.js';

/** Few round trips, and little memory on both sides. */
const PAGE = 500;

interface ListOptions extends CommonOptions {
  readonly name?: readonly string[];
  readonly status?: readonly string[];
  readonly visibility?: string;
  readonly memberStatus?: string;
  readonly owner?: string;
  readonly diskFormat?: readonly string[];
  readonly containerFormat?: readonly string[];
  readonly tag?: readonly string[];
  readonly property?: ReadonlyMap<string, string>;
  readonly hidden?: boolean;
  readonly protected?: boolean;
  readonly limit?: number;
  readonly sort?: readonly SortKey[];
}

/** Adds `list`. */
export function addList(images: Command, deps: CliDeps): void {
  nodeCommand(images, 'list', 'list the images that you may see, newest first')
    .option('--name <name>', 'with this name; several times: one of them', collect)
    .option('--status <status>', 'in this status; several times: one of them', collectStatus)
    .addOption(
      wordOption('--visibility <word>', 'part of the images', ['public', 'private', 'shared', 'community', 'all']),
    )
    .addOption(
      wordOption('--member-status <word>', 'shared with you and answered so', [
        'accepted',
        'pending',
        'rejected',
        'all',
      ]),
    )
    .option('--owner <project>', 'of this project')
    .option('--disk-format <format>', 'of this disk format; several times: one of them', collect)
    .option('--container-format <format>', 'of this container format; several times: one of them', collect)
    .option('--tag <tag>', 'with this tag; several times: all of them', collect)
    .option('--property <key=value>', 'with this custom property; several times: all of them', collectPairs)
    .option('--hidden', 'hidden images instead of the others')
    .option('--protected', 'protected images only')
    .option('--no-protected', 'images that are not protected')
    .option('--limit <n>', 'at most so many (default: all)', wholeNumber)
    .option('--sort <keys>', 'order, such as name:asc,created_at:desc', sortKeys)
    .addHelpText('after', '\nExample:\n  oriel image list --visibility public --tag ci --sort name:asc --limit 20')
    .action(async (options: ListOptions) => {
      await withClient(options, deps, async (client) => {
        const pages = pagesOf(client, options);
        await (options.json === true ? writeJsonPages(deps, pages) : writeTable(deps, pages));
      });
    });
}

/** Yields page after page, so that a list of any length needs the memory of one. */
async function* pagesOf(client: NodeClient, options: ListOptions): AsyncGenerator<readonly Image[]> {
  const filter = filterOf(options);
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  let pageToken = '';
  while (left > 0) {
    const pageSize = Math.min(PAGE, left);
    const page = await client.catalog.listImages({ pageSize, pageToken, filter, sort: [...(options.sort ?? [])] });
    yield page.images.slice(0, left);
    left -= page.images.length;
    pageToken = page.nextPageToken;
    if (pageToken === '') return;
  }
}

function filterOf(options: ListOptions): ImageFilter {
  const { visibility, memberStatus } = options;
  const anyVisibility = VisibilityScope.UNSPECIFIED;
  const anyMember = MemberStatusScope.UNSPECIFIED;
  return {
    visibility: visibility === undefined ? anyVisibility : enumOf(VisibilityScope, 'VISIBILITY_SCOPE_', visibility),
    memberStatus:
      memberStatus === undefined ? anyMember : enumOf(MemberStatusScope, 'MEMBER_STATUS_SCOPE_', memberStatus),
    osHidden: options.hidden ?? false,
    protected: options.protected,
    owner: options.owner,
    ids: [],
    names: [...(options.name ?? [])],
    statuses: [...(options.status ?? [])],
    diskFormats: [...(options.diskFormat ?? [])],
    containerFormats: [...(options.containerFormat ?? [])],
    checksum: undefined,
    osHashValue: undefined,
    tags: [...(options.tag ?? [])],
    properties: [...(options.property ?? [])].map(([name, value]) => ({ name, value })),
    integers: [],
    times: [],
  };
}

function collectStatus(text: string, before: readonly string[] = []): readonly string[] {
  const known = Object.values(ImageStatus).filter((value) => value !== ImageStatus.UNSPECIFIED);
  const words = known.map((value) => wordOf(value, 'IMAGE_STATUS_')).filter((word) => word !== 'unknown');
  if (!words.includes(text)) throw new InvalidArgumentError(`expected one of ${words.join(', ')}.`);
  return collect(text, before);
}

/** Parses `name:asc,created_at`; without a direction it is descending, as in the Images API. */
function sortKeys(text: string): readonly SortKey[] {
  return text.split(',').map((part) => {
    const [field = '', direction = 'desc'] = part.trim().split(':');
    const known = Object.values(SortField).filter((value) => value !== SortField.UNSPECIFIED);
    const found = known.find((value) => wordOf(value, 'SORT_FIELD_') === field);
    if (found === undefined || !['asc', 'desc'].includes(direction)) {
      throw new InvalidArgumentError(
        'expected keys such as name:asc,created_at:desc of name, status, container_format, disk_format, size, id, ' +
          'created_at, updated_at.',
      );
    }
    return { field: found, ascending: direction === 'asc' };
  });
}

async function writeTable(deps: CliDeps, pages: AsyncIterable<readonly Image[]>): Promise<void> {
  const widths: number[] = [];
  let heads: readonly (readonly string[])[] = [IMAGE_HEADS];
  for await (const page of pages) {
    await write(deps.stdout, alignRows([...heads, ...page.map(imageRow)], widths));
    heads = [];
  }
}

async function writeJsonPages(deps: CliDeps, pages: AsyncIterable<readonly Image[]>): Promise<void> {
  let separator = '[\n';
  for await (const page of pages) {
    for (const image of page) {
      await write(deps.stdout, `${separator}${JSON.stringify(imageJson(image))}`);
      separator = ',\n';
    }
  }
  await write(deps.stdout, separator === '[\n' ? '[]\n' : '\n]\n');
}
