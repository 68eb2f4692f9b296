import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Metadata } from 'nice-grpc-common';
import { ServiceError } from '../base/service-error.js';
import type { CallOptions } from './byte-streams.js';
import { type RequestIdentity, requestIdentity } from './request-id.js';

/** The headers that a caller's identity and trace are made of; the service behind reads them as metadata. */
const FORWARDED_HEADERS = [
  'x-auth-token',
  'x-service-token',
  'x-user-id',
  'x-project-id',
  'x-tenant-id',
  'x-roles',
  'x-identity-status',
  // How new the answer must be; and what one node says to another of its caller.
  'oriel-min-position',
  'x-oriel-statement',
] as const;
/** Metadata of an answer that becomes a header. */
export const FRESHNESS_HEADERS = [
  ['oriel-position', 'Oriel-Position'],
  ['oriel-staleness-ms', 'Oriel-Staleness-Ms'],
] as const;
/** What metadata can carry (gRPC over HTTP2, "Custom-Metadata": ASCII-Value). */
const PRINTABLE = /^[ -~]*$/;
/** W3C Trace Context §3.2; an invalid one is ignored and a new trace begun (§4.3). */
const TRACEPARENT = /^[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}(?:-[ -~]*)?$/;

/** One request and its answer, as the routes see them. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly identity: RequestIdentity;
  /** The route's pattern, for metrics. */
  route = 'unmatched';
  params: Readonly<Record<string, string>> = {};
  readonly startedMs = performance.now();
  /** What the services said of how new their answers are: headers of the answer. */
  readonly freshness = new Map<string, string>();
  #call: CallOptions | undefined;
  #continueSent = false;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request;
    this.response = response;
    this.identity = requestIdentity(this.header('x-openstack-request-id'));
  }

  get requestId(): string {
    return this.identity.id;
  }

  /** Content-Type as sent, or undefined. From the raw headers, because Fastify must not see it (gateway.ts). */
  get contentType(): string | undefined {
    const { rawHeaders } = this.request;
    for (let index = 0; index < rawHeaders.length; index += 2) {
      if (rawHeaders[index]?.toLowerCase() === 'content-type') return rawHeaders[index + 1];
    }
    return undefined;
  }

  /** The query string as sent, without the question mark. */
  get rawQuery(): string {
    const url = this.request.url ?? '';
    const mark = url.indexOf('?');
    return mark === -1 ? '' : url.slice(mark + 1);
  }

  /** The value of a header, repeated ones joined; undefined when it was not sent. */
  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  /** The value of a path parameter. */
  param(name: string): string {
    return this.params[name] ?? '';
  }

  /** Tells whether the request announces a body that is not empty. */
  get declaresBody(): boolean {
    const { headers } = this.request;
    if (headers['transfer-encoding'] !== undefined) return true;
    const length = headers['content-length'];
    return length !== undefined && length !== '0' && Number(length) !== 0;
  }

  /** True once a route asked a service: the service has authenticated the caller then. */
  get askedBackend(): boolean {
    return this.#call !== undefined;
  }

  /** What every call to the services carries: one Metadata object, and a signal that fires when the client goes away. */
  get call(): CallOptions {
    this.#call ??= new RequestCall(this.#metadata(), this.response, this.freshness);
    return this.#call;
  }

  /** The trace that the services see, for the log; undefined when no service was asked. */
  get trace(): string | undefined {
    return this.#call?.metadata.get('traceparent');
  }

  /** Sends `100 Continue` to a client that waits for it, once (reference §12.8 G5). */
  invite(): void {
    if (this.#continueSent || !this.waitsForContinue) return;
    this.#continueSent = true;
    this.response.writeContinue();
  }

  /** Tells whether the client holds its body back until invited. */
  get waitsForContinue(): boolean {
    return !this.#continueSent && this.request.headers.expect?.toLowerCase() === '100-continue';
  }

  #metadata(): Metadata {
    const metadata = new Metadata();
    for (const name of FORWARDED_HEADERS) {
      const value = this.header(name);
      if (value === undefined) continue;
      if (!PRINTABLE.test(value)) throw new ServiceError('INVALID_ARGUMENT', `${name}: expected printable ASCII only`);
      metadata.set(name, value);
    }
    metadata.set('x-openstack-request-id', this.requestId);
    // The door that the caller used is this one: a gateway's own way to the node proves nothing of its callers.
    metadata.set('x-oriel-relayed', 'http');
    const trace = this.header('traceparent');
    metadata.set('traceparent', trace !== undefined && TRACEPARENT.test(trace) ? trace : newTraceparent());
    return metadata;
  }
}

/**
 * The options of all calls of one request. Most calls never look at the signal, which costs a sixteenth of a short request,
 * so it is made when it is asked for. The getter is the class's: one in an object literal makes V8 keep a hidden class for
 * each request, and the whole request with it, until a full collection; shows were served at half the rate.
 */
class RequestCall implements CallOptions {
  readonly metadata: Metadata;
  readonly #response: ServerResponse;
  readonly #freshness: Map<string, string>;
  #signal: AbortSignal | undefined;

  constructor(metadata: Metadata, response: ServerResponse, freshness: Map<string, string>) {
    this.metadata = metadata;
    this.#response = response;
    this.#freshness = freshness;
  }

  /** Called with what comes before an answer of a service. */
  readonly onHeader = (header: Metadata): void => {
    for (const [key, name] of FRESHNESS_HEADERS) {
      const value = header.get(key);
      if (value !== undefined) this.#freshness.set(name, value);
    }
  };

  get signal(): AbortSignal {
    this.#signal ??= abortedWithout(this.#response);
    return this.#signal;
  }
}

/** A signal that fires when the response closes before it was sent whole. */
function abortedWithout(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  if (response.destroyed) controller.abort();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}

/** Starts a trace (W3C Trace Context §3.2): version, 16 bytes of trace, 8 of span, sampled. */
function newTraceparent(): string {
  const digits = randomUUID().replaceAll('-', '');
  return `00-${digits}-${digits.slice(0, 16)}-01`;
}
