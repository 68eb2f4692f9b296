import { ServiceError } from '../../base/service-error.js';
import { type ImageMember, MemberStatus } from '../../gen/oriel/catalog/v1/image.js';
import { type Answer, NO_CONTENT } from '../answer.js';
import { isJsonObject, kindOf, readJson } from '../json-body.js';
import type { Route } from '../route.js';
import type { RouteContext } from '../route-context.js';
import { requirePlainText } from '../text-rules.js';
import { jsonTime } from './image-json.js';

const MAX_MEMBER_LENGTH = 255;
const STATUS_WORDS: Readonly<Record<MemberStatus, string>> = {
  [MemberStatus.UNSPECIFIED]: '',
  [MemberStatus.PENDING]: 'pending',
  [MemberStatus.ACCEPTED]: 'accepted',
  [MemberStatus.REJECTED]: 'rejected',
  [MemberStatus.UNRECOGNIZED]: '',
};
const STATUSES: ReadonlyMap<unknown, MemberStatus> = new Map([
  ['pending', MemberStatus.PENDING],
  ['accepted', MemberStatus.ACCEPTED],
  ['rejected', MemberStatus.REJECTED],
]);

/** Members of an image (reference §6.11). */
export function memberRoutes(context: RouteContext): readonly Route[] {
  return [...memberListRoutes(context), ...oneMemberRoutes(context)];
}

function memberListRoutes(context: RouteContext): readonly Route[] {
  const path = '/v2/images/:id/members';
  const { catalog } = context.backend;
  return [
    {
      method: 'GET',
      path,
      body: 'none',
      async handle(exchange) {
        const members: ImageMember[] = [];
        // The Images API has no pages of members.
        for (let pageToken = ''; ; ) {
          const page = await catalog.listMembers({ imageId: exchange.param('id'), pageToken }, exchange.call);
          members.push(...page.members);
          pageToken = page.nextPageToken;
          if (pageToken === '') break;
        }
        return json({ members: members.map(memberJson), schema: '/v2/schemas/members' });
      },
    },
    {
      method: 'POST',
      path,
      body: 'taken',
      async handle(exchange) {
        const memberId = parseNewMember(await readJson(exchange, context.jsonLimits));
        const request = { imageId: exchange.param('id'), memberId, requestId: '' };
        return memberAnswer(await catalog.createMember(request, exchange.call));
      },
    },
  ];
}

function oneMemberRoutes(context: RouteContext): readonly Route[] {
  const path = '/v2/images/:id/members/:member';
  const { catalog } = context.backend;
  return [
    {
      method: 'GET',
      path,
      body: 'none',
      async handle(exchange) {
        const request = { imageId: exchange.param('id'), memberId: exchange.param('member') };
        return memberAnswer(await catalog.getMember(request, exchange.call));
      },
    },
    {
      method: 'PUT',
      path,
      body: 'taken',
      async handle(exchange) {
        const status = parseMemberStatus(await readJson(exchange, context.jsonLimits));
        const ids = { imageId: exchange.param('id'), memberId: exchange.param('member') };
        return memberAnswer(await catalog.updateMember({ ...ids, status, requestId: '' }, exchange.call));
      },
    },
    {
      method: 'DELETE',
      path,
      body: 'none',
      async handle(exchange) {
        const ids = { imageId: exchange.param('id'), memberId: exchange.param('member') };
        await catalog.deleteMember({ ...ids, requestId: '' }, exchange.call);
        return NO_CONTENT;
      },
    },
  ];
}

/** Parses `{"member": "project"}`; INVALID_ARGUMENT otherwise (§13 D13). */
export function parseNewMember(body: unknown): string {
  const member = isJsonObject(body) ? body['member'] : undefined;
  if (typeof member !== 'string' || member === '' || member.length > MAX_MEMBER_LENGTH) {
    throw new ServiceError(
      'INVALID_ARGUMENT',
      `expected {"member": project}, the project a string of 1 to ${MAX_MEMBER_LENGTH} characters`,
    );
  }
  requirePlainText('member', member);
  return member;
}

/** Parses `{"status": "accepted"}`; INVALID_ARGUMENT otherwise. */
export function parseMemberStatus(body: unknown): MemberStatus {
  const word = isJsonObject(body) ? body['status'] : undefined;
  const status = STATUSES.get(word);
  if (status === undefined) {
    const got = typeof word === 'string' ? JSON.stringify(word.slice(0, 80)) : kindOf(word);
    throw new ServiceError('INVALID_ARGUMENT', `status: expected pending, accepted or rejected, got ${got}`);
  }
  return status;
}

function memberAnswer(response: { readonly member?: ImageMember | undefined }): Answer {
  if (response.member === undefined) throw new ServiceError('INTERNAL', 'the catalog answered without a member');
  return json(memberJson(response.member));
}

function memberJson(member: ImageMember): object {
  return {
    member_id: member.memberId,
    image_id: member.imageId,
    status: STATUS_WORDS[member.status],
    created_at: jsonTime(member.createdAt),
    updated_at: jsonTime(member.updatedAt),
    schema: '/v2/schemas/member',
  };
}

function json(value: object): Answer {
  return { status: 200, body: JSON.stringify(value) };
}
