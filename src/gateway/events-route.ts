/**
 * `GET /oriel/v1/events`: the feed of changes as server-sent events (WHATWG HTML, "Server-sent events"). A heartbeat is a comment
 * with an id: a browser remembers the id without being told of anything.
 */
import { ServiceError } from '../base/service-error.js';
import { EventKind, type WatchEventsResponse } from '../gen/oriel/node/v1/node_service.js';
import type { Exchange } from './exchange.js';
import type { Route } from './route.js';
import type { RouteContext } from './route-context.js';
import { writeChunk } from './send-bytes.js';

/** A node says something each 15 s; one that is silent for so long is gone. */
const SILENCE_MS = 60_000;
/** How long a browser waits before it connects again. */
const RETRY_MS = 2000;

export function eventsRoute(context: RouteContext): Route {
  return {
    method: 'GET',
    path: '/oriel/v1/events',
    body: 'none',
    async handle(exchange) {
      // Its ends: the client goes away, the gateway closes, the node is silent.
      const end = new AbortController();
      const { signal } = exchange.call;
      signal.addEventListener('abort', () => end.abort());
      context.endless.add(end);
      try {
        await follow(exchange, context, end);
      } catch (error) {
        if (!end.signal.aborted || signal.aborted) throw error;
      } finally {
        context.endless.delete(end);
      }
      if (!exchange.response.headersSent)
        throw new ServiceError('UNAVAILABLE', 'The node is silent, or this gateway is stopping: watch at another one.');
      exchange.response.end();
      return undefined;
    },
  };
}

async function follow(exchange: Exchange, context: RouteContext, end: AbortController): Promise<void> {
  const { response } = exchange;
  const { metadata, signal } = exchange.call;
  const messages = context.backend.node.watchEvents({ after: tokenOf(exchange) }, { metadata, signal: end.signal });
  const silent = (): NodeJS.Timeout => setTimeout(() => end.abort(), SILENCE_MS);
  let silence = silent();
  try {
    for await (const message of messages) {
      clearTimeout(silence);
      if (!response.headersSent) {
        response.writeHead(200, headersOf(exchange));
        response.write(`retry: ${RETRY_MS}\n\n`);
      }
      // The next message is asked for when the kernel has this one: a slow client holds back its own stream.
      await writeChunk(response, frameOf(message), { signal, idleMs: context.idleMs });
      silence = silent();
    }
  } finally {
    clearTimeout(silence);
  }
}

/** A client that connects again says in the header what it got last; its URL is still that of the first time. */
function tokenOf(exchange: Exchange): string {
  return exchange.header('last-event-id') ?? new URLSearchParams(exchange.rawQuery).get('after') ?? '';
}

function headersOf(exchange: Exchange): Readonly<Record<string, string>> {
  return {
    'x-openstack-request-id': exchange.requestId,
    'Content-Type': 'text/event-stream',
    'Cache-Control': 'no-store',
    // nginx would gather messages otherwise.
    'X-Accel-Buffering': 'no',
  };
}

function frameOf(message: WatchEventsResponse): string {
  if (message.kind === EventKind.HEARTBEAT) return `: heartbeat\nid: ${message.token}\n\n`;
  return `id: ${message.token}\ndata: ${JSON.stringify(eventJson(message))}\n\n`;
}

/** What does not go with the kind is left out, as JSON.stringify does with what is undefined. */
function eventJson(message: WatchEventsResponse): object {
  const { kind, token, occurredAt, imageId, imageVersion, imageStatus, memberId, memberStatus } = message;
  return {
    kind: word(kind, 'EVENT_KIND_'),
    token,
    occurred_at: occurredAt?.toISOString(),
    image_id: imageId === '' ? undefined : imageId,
    image_version: imageVersion === 0n ? undefined : Number(imageVersion),
    image_status: word(imageStatus, 'IMAGE_STATUS_'),
    member_id: memberId === '' ? undefined : memberId,
    member_status: word(memberStatus, 'MEMBER_STATUS_'),
  };
}

/** `EVENT_KIND_IMAGE_CREATED` is `image_created`. */
function word(value: string, prefix: string): string | undefined {
  return value.endsWith('_UNSPECIFIED') ? undefined : value.replace(prefix, '').toLowerCase();
}
