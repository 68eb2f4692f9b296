/**
 * The `ByteStreams` port over HTTP to a node: what `oriel gateway`, which has no store, moves bytes with. node:http and not a
 * fetch, because a write must not touch its source before the node invites it (`Expect: 100-continue`), and because a chunk
 * is handed on only when the kernel has taken the one before.
 */
import http, { type ClientRequest, type IncomingMessage } from 'node:http';
import https from 'node:https';
import { Metadata } from 'nice-grpc-common';
import { asImageId } from '../base/brand.js';
import { ServiceError, UNREACHABLE } from '../base/service-error.js';
import { Image } from '../gen/oriel/catalog/v1/image.js';
import type { ByteStreams, CallOptions, OpenedRead, ReadRequest } from './byte-streams.js';
import { REASON_HEADER } from './error-answer.js';
import { FRESHNESS_HEADERS } from './exchange.js';
import {
  DATA_PATH,
  encodeRange,
  failureOf,
  IMAGE_HEADER,
  MAX_HEADER_BYTES,
  PREFER_HEADER,
  RANGE_HEADERS,
  SIZE_HEADER,
  SOURCE_FAILED_TRAILER,
  STORE_HEADER,
} from './node-bytes-protocol.js';
import { streamChunks } from './stream-chunks.js';

const IDLE_MS = 60_000;
/** Committing an upload syncs and renames files: longer than a chunk may take. */
const COMMIT_MS = 300_000;
const MAX_ERROR_BODY_BYTES = 64 * 1024;

export interface RemoteByteStreamsOptions {
  /** The node's HTTP address, such as `http://10.0.0.5:9292`; it must serve node bytes. */
  readonly baseUrl: string;
  /** PEM texts for an https node: its authority, and our certificate. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** How long the node may send or take nothing, in milliseconds; default 60 000. */
  readonly idleMs?: number;
  /** How long the node may take to commit a write, in milliseconds; default 300 000. */
  readonly commitMs?: number;
}

export interface RemoteByteStreams extends ByteStreams {
  /** Closes the idle connections. */
  close(): void;
}

/**
 * Opens the port. Calls fail with the reason that the node gave; UNAVAILABLE when it cannot be reached or breaks off,
 * CANCELLED when the call's signal fired, DEADLINE_EXCEEDED when it stalls.
 */
export function createRemoteByteStreams(options: RemoteByteStreamsOptions): RemoteByteStreams {
  const node = new RemoteNode(options);
  return {
    openRead: (request, call) => openRead(node, request, call),
    write: (request, source, call) => write(node, request, source, call),
    close: () => node.agent.destroy(),
  };
}

class RemoteNode {
  readonly agent: http.Agent;
  readonly idleMs: number;
  readonly commitMs: number;
  readonly #baseUrl: URL;

  constructor(options: RemoteByteStreamsOptions) {
    this.#baseUrl = new URL(options.baseUrl);
    this.idleMs = options.idleMs ?? IDLE_MS;
    this.commitMs = options.commitMs ?? COMMIT_MS;
    this.agent =
      this.#baseUrl.protocol === 'https:'
        ? new https.Agent({ keepAlive: true, ...options.tls })
        : new http.Agent({ keepAlive: true });
  }

  /** Starts a request; its errors are the caller's to handle. */
  request(method: 'GET' | 'PUT', imageId: string, headers: Record<string, string>, call: CallOptions): ClientRequest {
    // A path such as `..` would be another one; only UUIDs name images.
    if (asImageId(imageId) === undefined) throw new ServiceError('NOT_FOUND', `No image found with ID ${imageId}`);
    const url = new URL(`${DATA_PATH}/${encodeURIComponent(imageId)}/data`, this.#baseUrl);
    for (const [name, values] of call.metadata) {
      const texts = values.filter((value) => typeof value === 'string');
      if (texts.length > 0) headers[name] = texts.join(', ');
    }
    const client = url.protocol === 'https:' ? https : http;
    const { agent } = this;
    return client.request(url, { method, headers, agent, signal: call.signal, maxHeaderSize: MAX_HEADER_BYTES });
  }
}

async function openRead(node: RemoteNode, request: ReadRequest, call: CallOptions): Promise<OpenedRead | undefined> {
  const range = encodeRange(request.range);
  const headers: Record<string, string> = range === null ? {} : { range };
  const { prefer = [] } = request;
  if (prefer.length > 0) headers[PREFER_HEADER] = encodeURIComponent(prefer.join(','));
  const sent = node.request('GET', request.imageId, headers, call);
  sent.end();
  const response = await answered(sent, node.idleMs, call.signal);
  tellFreshness(response, call);
  if (response.statusCode === 204) {
    response.resume();
    return undefined;
  }
  if (response.statusCode !== 200) throw await failure(response, node.idleMs);
  const lengthBytes = numberHeader(response, 'content-length');
  return {
    image: imageOf(response),
    sizeBytes: numberHeader(response, RANGE_HEADERS.size),
    offsetBytes: numberHeader(response, RANGE_HEADERS.offset),
    lengthBytes,
    chunks: dataChunks(response, { lengthBytes, idleMs: node.idleMs, signal: call.signal }),
  };
}

async function* dataChunks(
  response: IncomingMessage,
  options: { readonly lengthBytes: number; readonly idleMs: number; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array, void, undefined> {
  let readBytes = 0;
  try {
    for await (const chunk of streamChunks(response, {
      idleMs: options.idleMs,
      broken: () => brokenOff(undefined, options.signal),
      stalled: () => stalled(options.idleMs),
    })) {
      readBytes += chunk.byteLength;
      yield chunk;
    }
    if (readBytes !== options.lengthBytes) throw brokenOff(undefined, options.signal);
  } finally {
    if (!response.readableEnded) response.destroy();
  }
}

async function write(
  node: RemoteNode,
  request: { readonly imageId: string; readonly sizeBytes: number | null; readonly storeId: string | null },
  source: AsyncIterable<Uint8Array>,
  call: CallOptions,
): Promise<Image> {
  const headers: Record<string, string> = {
    expect: '100-continue',
    'content-type': 'application/octet-stream',
    'transfer-encoding': 'chunked',
    trailer: SOURCE_FAILED_TRAILER,
  };
  if (request.sizeBytes !== null) headers[SIZE_HEADER] = String(request.sizeBytes);
  if (request.storeId !== null) headers[STORE_HEADER] = request.storeId;
  const sent = node.request('PUT', request.imageId, headers, call);
  try {
    const answer = firstAnswer(sent, call.signal);
    sent.flushHeaders();
    const invited = await within(
      Promise.race([answer, new Promise<'continue'>((resolve) => sent.once('continue', () => resolve('continue')))]),
      node.idleMs,
    );
    const response = invited === 'continue' ? await pump(sent, source, answer, node) : invited;
    if (response.statusCode !== 204) throw await failure(response, node.idleMs);
    response.resume();
    tellFreshness(response, call);
    return imageOf(response);
  } catch (error) {
    sent.destroy();
    throw error;
  }
}

/** Sends the source and returns the answer, which may come before the source ends. */
async function pump(
  sent: ClientRequest,
  source: AsyncIterable<Uint8Array>,
  answer: Promise<IncomingMessage>,
  node: RemoteNode,
): Promise<IncomingMessage> {
  try {
    for await (const chunk of source) {
      const taken = new Promise<'taken'>((resolve) => sent.write(chunk, () => resolve('taken')));
      const next = await within(Promise.race([answer, taken]), node.idleMs);
      if (next !== 'taken') return next;
    }
  } catch (error) {
    await giveUp(sent, answer, node.idleMs);
    throw error;
  }
  sent.end();
  return within(answer, node.commitMs);
}

/** Ends the write as failed and waits until the node has undone it; what it answers adds nothing to the failure at hand. */
async function giveUp(sent: ClientRequest, answer: Promise<IncomingMessage>, idleMs: number): Promise<void> {
  sent.addTrailers({ [SOURCE_FAILED_TRAILER]: 'true' });
  sent.end();
  await within(answer, idleMs).then(
    (response) => response.resume(),
    () => undefined,
  );
}

function answered(sent: ClientRequest, idleMs: number, signal: AbortSignal): Promise<IncomingMessage> {
  return within(firstAnswer(sent, signal), idleMs).catch((error: unknown) => {
    sent.destroy();
    throw error;
  });
}

function firstAnswer(sent: ClientRequest, signal: AbortSignal): Promise<IncomingMessage> {
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    sent.once('response', resolve);
    // Stays on: an error after the answer (a refused upload is cut off) has nothing left to tell.
    sent.on('error', (cause) => reject(brokenOff(cause, signal)));
    sent.once('close', () => reject(brokenOff(undefined, signal)));
  });
  // Whoever waits gets the rejection; when nobody does any more, it is no crash.
  answer.catch(() => undefined);
  return answer;
}

async function within<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(stalled(timeoutMs)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The failure that an answer carries; its body is read up to a bound. */
async function failure(response: IncomingMessage, idleMs: number): Promise<ServiceError> {
  const reason = response.headers[REASON_HEADER];
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  const pull = { idleMs, broken: () => brokenOff(undefined, undefined), stalled: () => stalled(idleMs) };
  for await (const chunk of streamChunks(response, pull)) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > MAX_ERROR_BODY_BYTES) break;
    chunks.push(chunk);
  }
  response.destroy();
  const body = parseBody(Buffer.concat(chunks).toString('utf8'));
  return failureOf(response.statusCode ?? 0, typeof reason === 'string' ? reason : undefined, body);
}

/** A body that is no JSON carries no failure of ours. */
function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Passes on what the node says of how new its catalog is. */
function tellFreshness(response: IncomingMessage, call: CallOptions): void {
  if (call.onHeader === undefined) return;
  const header = new Metadata();
  for (const [name] of FRESHNESS_HEADERS) {
    const value = response.headers[name];
    if (typeof value === 'string') header.set(name, value);
  }
  call.onHeader(header);
}

function imageOf(response: IncomingMessage): Image {
  const header = response.headers[IMAGE_HEADER];
  if (typeof header !== 'string') throw new ServiceError('UPSTREAM_FAILED', `the node sent no ${IMAGE_HEADER}`);
  return Image.decode(Buffer.from(header, 'base64'));
}

function numberHeader(response: IncomingMessage, name: string): number {
  const value = Number(response.headers[name] ?? Number.NaN);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new ServiceError('UPSTREAM_FAILED', `the node sent no number in ${name}`);
  }
  return value;
}

function brokenOff(cause: unknown, signal: AbortSignal | undefined): ServiceError {
  if (signal?.aborted === true) return new ServiceError('CANCELLED', 'the call was cancelled', { cause });
  return new ServiceError('UNAVAILABLE', 'the node that holds the data cannot be reached', {
    cause,
    details: UNREACHABLE,
  });
}

function stalled(timeoutMs: number): ServiceError {
  return new ServiceError('DEADLINE_EXCEEDED', `the node did nothing for ${timeoutMs} ms`, { details: UNREACHABLE });
}
