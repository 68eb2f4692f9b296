/** `oriel image fetch`: the node puts an image into a file of the host, which is this one. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { ServiceError } from '../base/service-error.js';
import {
  type MaterializedFile,
  type MaterializeImageRequest,
  MaterializeWay,
} from '../gen/oriel/data/v1/data_service.js';
import type { NodeClient } from '../rpc/node-client.js';
import { collect, type CommonOptions, nodeCommand, report, withClient } from './command.js';
import type { CliDeps } from './deps.js';
import { findImageId } from './find-image.js';
import { bytesText } from './output.js';
import { type Progress, startProgress } from './progress.js';

interface FetchOptions extends CommonOptions {
  readonly novaCache?: string;
  readonly raw?: boolean;
  readonly overwrite?: boolean;
  readonly hardLink?: boolean;
  /** `--no-flush`. */
  readonly flush: boolean;
  readonly prefer?: readonly string[];
}

const HELP = `
The node writes the file, beneath a folder of its option [materialize] roots, and verifies all of it. For compute hosts (by
the node's unix socket, or a client certificate) and administrators. What a call that is interrupted has written is taken
up by the next one for the same file.

Examples:
  oriel image fetch cirros /var/lib/nova/instances/cirros.raw --raw --node unix:/var/lib/oriel/oriel.sock
  oriel image fetch cirros --nova-cache /var/lib/nova/instances --node unix:/var/lib/oriel/oriel.sock`;

const WAYS: Readonly<Record<MaterializeWay, { readonly word: string; readonly text: string }>> = {
  [MaterializeWay.REFLINK]: { word: 'reflink', text: 'shares its blocks with the store' },
  [MaterializeWay.HARD_LINK]: { word: 'hard-link', text: 'is the stored object, read-only' },
  [MaterializeWay.COPY]: { word: 'copy', text: 'copied' },
  [MaterializeWay.CONVERT]: { word: 'convert', text: 'converted to raw' },
  [MaterializeWay.UNSPECIFIED]: { word: 'unknown', text: 'made' },
  [MaterializeWay.UNRECOGNIZED]: { word: 'unknown', text: 'made' },
};

/** Adds `fetch`. */
export function addFetch(images: Command, deps: CliDeps): void {
  const command = nodeCommand(
    images,
    'fetch <image> [path]',
    "put an image into a file of the node's host, which is this one",
  );
  command
    .option('--nova-cache <dir>', "instead of a path: Nova's instances_path, for a raw base file in its image cache")
    .option('--raw', 'the disk inside as raw (from qcow2), not the bytes as they are stored')
    .option('--overwrite', 'replace the file')
    .option('--hard-link', 'the file may be the stored object under a second name, read-only')
    .option('--no-flush', 'do not wait until the file is on disk')
    .option('--prefer <store>', 'store to read from first; can be repeated', collect)
    .addHelpText('after', HELP)
    .action(async (given: string, path: string | undefined, options: FetchOptions) => {
      const target = targetOf(path, options.novaCache);
      if (target === undefined) command.error('error: give either a path or --nova-cache');
      const file = await withClient(options, deps, async (client) => {
        const imageId = await findImageId(client, given);
        return fetchFile(client, deps, {
          ...{ imageId, target, raw: options.raw ?? false, overwrite: options.overwrite ?? false },
          ...{ hardLink: options.hardLink ?? false, noFlush: !options.flush, prefer: [...(options.prefer ?? [])] },
        });
      });
      const { word, text } = WAYS[file.way];
      const [sizeBytes, resumedBytes] = [Number(file.size), Number(file.resumed)];
      const resumed = resumedBytes === 0 ? '' : `, ${bytesText(resumedBytes)} of it there already`;
      await report(deps, options, {
        json: { id: file.imageId, path: file.path, size: sizeBytes, way: word, resumed: resumedBytes },
        text: `${file.path}: ${bytesText(sizeBytes)}, verified, ${text}${resumed}\n`,
      });
    });
}

function targetOf(path: string | undefined, novaCache: string | undefined): MaterializeImageRequest['target'] {
  if ((path === undefined) === (novaCache === undefined)) return undefined;
  if (novaCache !== undefined) return { $case: 'novaInstances', value: resolve(novaCache) };
  return { $case: 'path', value: resolve(path ?? '') };
}

async function fetchFile(
  client: NodeClient,
  deps: CliDeps,
  request: MaterializeImageRequest,
): Promise<MaterializedFile> {
  let bar: Progress | undefined;
  let shownBytes = 0;
  try {
    for await (const { part } of client.data.materializeImage(request)) {
      if (part?.$case === 'file') return part.value;
      if (part === undefined) continue;
      bar ??= startProgress(deps.stderr, 'fetching', Number(part.value.total));
      bar.add(Number(part.value.done) - shownBytes);
      shownBytes = Number(part.value.done);
    }
  } finally {
    bar?.stop();
  }
  throw new ServiceError('UPSTREAM_FAILED', 'the node answered without the file');
}
