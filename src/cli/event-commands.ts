/** `oriel events`. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import { failedWith, ServiceError } from '../base/service-error.js';
import { EventKind, type WatchEventsResponse } from '../gen/oriel/node/v1/node_service.js';
import { type CommonOptions, nodeCommand, withClient } from './command.js';
import type { CliDeps } from './deps.js';
import { wordOf } from './image-words.js';
import { printable, write } from './output.js';

interface EventOptions extends CommonOptions {
  readonly after?: string;
}

/** A node says something each 15 s. */
const SILENCE_MS = 60_000;
const RETRY_MS = 1000;

/** Adds `oriel events`. */
export function addEvents(program: Command, deps: CliDeps): void {
  nodeCommand(program, 'events', 'follow what happens to images and members, until interrupted')
    .option('--after <token>', 'go on behind this token instead of from now on')
    .action((options: EventOptions) => followAlways(options, deps));
}

/** Streams end now and then, and nodes are restarted: goes on from the last token. Rejects when that cannot be. */
async function followAlways(options: EventOptions, deps: CliDeps): Promise<void> {
  const place = { token: options.after ?? '', reached: false };
  for (;;) {
    try {
      await follow(options, deps, place);
    } catch (error) {
      if (!place.reached || !failedWith(error, 'UNAVAILABLE')) throw error;
      deps.stderr.write(`oriel: ${printable(error.message)} Trying again.\n`);
    }
    await pause(RETRY_MS, undefined, { signal: deps.signal });
  }
}

async function follow(options: EventOptions, deps: CliDeps, place: { token: string; reached: boolean }): Promise<void> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    await withClient(options, deps, async (client) => {
      const signal = AbortSignal.any([deps.signal, silence.signal]);
      for await (const message of client.node.watchEvents({ after: place.token }, { signal })) {
        timer.refresh();
        if (message.kind !== EventKind.HEARTBEAT) await write(deps.stdout, lineOf(message, options));
        Object.assign(place, { token: message.token, reached: true });
      }
    });
  } catch (error) {
    if (!silence.signal.aborted) throw error;
    throw new ServiceError('UNAVAILABLE', `The node has said nothing for ${SILENCE_MS / 1000} s.`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

function lineOf(message: WatchEventsResponse, options: EventOptions): string {
  const json = eventJson(message);
  if (options.json === true) return `${JSON.stringify(json)}\n`;
  const { occurred_at, kind, token, image_id, image_version, image_status, member_id, member_status } = json;
  const version = image_version === undefined ? undefined : `v${image_version}`;
  const words = [occurred_at, kind, image_id, version, image_status, member_id, member_status, `(${token})`];
  return `${printable(words.filter((word) => word !== undefined).join(' '))}\n`;
}

/** The event with the names that it has over HTTP; what does not go with its kind is undefined. */
function eventJson(message: WatchEventsResponse) {
  const { imageId, imageVersion, imageStatus, memberId, memberStatus } = message;
  return {
    kind: wordOf(message.kind, 'EVENT_KIND_'),
    token: message.token,
    occurred_at: message.occurredAt?.toISOString(),
    image_id: imageId === '' ? undefined : imageId,
    image_version: imageVersion === 0n ? undefined : Number(imageVersion),
    image_status: known(wordOf(imageStatus, 'IMAGE_STATUS_')),
    member_id: memberId === '' ? undefined : memberId,
    member_status: known(wordOf(memberStatus, 'MEMBER_STATUS_')),
  };
}

function known(word: string): string | undefined {
  return word === 'unspecified' ? undefined : word;
}
