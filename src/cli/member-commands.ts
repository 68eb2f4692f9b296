/** `oriel image share|unshare|members|accept|reject`. */
import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { ServiceError } from '../base/service-error.js';
import { type ImageMember, MemberStatus } from '../gen/oriel/catalog/v1/image.js';
import type { NodeClient } from '../rpc/node-client.js';
import { type CommonOptions, nodeCommand, report, withClient } from './command.js';
import type { CliDeps } from './deps.js';
import { findImageId } from './find-image.js';
import { memberJson, wordOf } from './image-words.js';
import { alignRows } from './output.js';
import { present } from './transfer.js';

/** Adds the commands of sharing. */
export function addMembers(images: Command, deps: CliDeps): void {
  nodeCommand(images, 'share <image> <project>', 'share an image with a project, which then accepts or rejects').action(
    async (given: string, memberId: string, options: CommonOptions) => {
      const member = await withClient(options, deps, async (client) => {
        const imageId = await findImageId(client, given);
        return present((await client.catalog.createMember({ imageId, memberId, requestId: randomUUID() })).member);
      });
      await reportMembers(deps, options, member);
    },
  );
  nodeCommand(images, 'unshare <image> <project>', 'stop sharing an image with a project').action(
    async (given: string, memberId: string, options: CommonOptions) => {
      const imageId = await withClient(options, deps, async (client) => {
        const id = await findImageId(client, given);
        await client.catalog.deleteMember({ imageId: id, memberId, requestId: randomUUID() });
        return id;
      });
      await report(deps, options, {
        json: { image_id: imageId, unshared: memberId },
        text: `unshared ${imageId} with ${memberId}\n`,
      });
    },
  );
  nodeCommand(images, 'members <image>', 'list the projects an image is shared with').action(
    async (given: string, options: CommonOptions) => {
      const members = await withClient(options, deps, async (client) => {
        const imageId = await findImageId(client, given);
        return (await client.catalog.listMembers({ imageId })).members;
      });
      await reportMembers(deps, options, members);
    },
  );
  addAnswer(images, deps, 'accept');
  addAnswer(images, deps, 'reject');
}

function addAnswer(images: Command, deps: CliDeps, verb: 'accept' | 'reject'): void {
  const status = verb === 'accept' ? MemberStatus.ACCEPTED : MemberStatus.REJECTED;
  nodeCommand(images, `${verb} <image>`, `${verb} an image that is shared with your project`)
    .option('--member <project>', 'answer for this project (default: yours); administrators only')
    .action(async (given: string, options: CommonOptions & { readonly member?: string }) => {
      const member = await withClient(options, deps, async (client) => {
        const imageId = await findImageId(client, given);
        const memberId = options.member ?? (await ownProject(client));
        return present(
          (await client.catalog.updateMember({ imageId, memberId, status, requestId: randomUUID() })).member,
        );
      });
      await reportMembers(deps, options, member);
    });
}

async function ownProject(client: NodeClient): Promise<string> {
  const { projectId } = await client.node.getCaller({});
  if (projectId !== '') return projectId;
  throw new ServiceError('INVALID_ARGUMENT', 'your token has no project: name one with --member');
}

async function reportMembers(
  deps: CliDeps,
  options: CommonOptions,
  given: ImageMember | readonly ImageMember[],
): Promise<void> {
  const members = 'imageId' in given ? [given] : given;
  const rows = members.map((member) => [member.imageId, member.memberId, wordOf(member.status, 'MEMBER_STATUS_')]);
  await report(deps, options, {
    json: 'imageId' in given ? memberJson(given) : given.map(memberJson),
    text: alignRows([['IMAGE', 'PROJECT', 'STATUS'], ...rows], []),
  });
}
