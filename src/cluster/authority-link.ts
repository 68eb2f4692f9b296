/**
 * The way from an edge to its cluster's authority, and whether it is open.
 *
 *   open --a call meets no answer--> shut --a probe is answered--> open
 *   open --a call is a second old, and a probe beside it meets no answer--> shut
 *
 * A call that is answered late does not shut it as long as a probe is answered: it may wait for something else than the
 * authority. While the way is shut, calls fail at once and say why, and those that ran when it was shut end; a probe goes out
 * each half second. After silence it goes over a new connection: the old one may stay dead when the network is whole again.
 */
import type { CallOptions } from 'nice-grpc-common';
import { Metadata } from 'nice-grpc-common';
import { failedWith, isUnreachable, ServiceError, UNREACHABLE } from '../base/service-error.js';
import type { Log } from '../application/log.js';
import type { Caller } from '../domain/caller.js';
import type { CatalogServiceClient } from '../gen/oriel/catalog/v1/catalog_service.js';
import type { NodeServiceClient } from '../gen/oriel/node/v1/node_service.js';
import { CALLS_CHANNEL_OPTIONS, connect, type NodeAddress, type NodeClient } from '../rpc/node-client.js';

const PROBE_EVERY_MS = 500;
const PROBE_DEADLINE_MS = 2000;
/** A call that is this old has a probe sent beside it, and again after as long while it runs. */
const DOUBT_EVERY_MS = 1000;
/** A change is one round trip and one group of the lane; who waits longer is told that the outcome is unknown. */
const CALL_DEADLINE_MS = 10_000;
/** A connection that breaks off is made again, and the call sent again, within this. */
const RETRY_FOR_MS = 1000;
const RETRY_PAUSE_MS = 50;

export interface AuthorityLinkOptions {
  readonly address: NodeAddress;
  /** Signs this node's statement about a caller. */
  sign(caller: Caller): string;
  readonly log: Log;
}

/** What of a request goes along to the authority. */
export interface RequestTrace {
  readonly requestId: string | undefined;
  readonly traceparent: string | undefined;
}

export class AuthorityLink {
  readonly #options: AuthorityLinkOptions;
  readonly #client: NodeClient;
  readonly #stop = new AbortController();
  #shutBecause: string | undefined;
  #refusedBecause: string | undefined;
  #probe: NodeJS.Timeout | undefined;
  #isDoubted = false;
  /** The last probe met silence, not a refusal. */
  #isSilent = false;
  /** Ends the calls that run. */
  readonly #running = new Set<(why: ServiceError) => void>();

  constructor(options: AuthorityLinkOptions) {
    this.#options = options;
    this.#client = connect(options.address, this.#stop.signal, CALLS_CHANNEL_OPTIONS);
  }

  get catalog(): CatalogServiceClient {
    return this.#client.catalog;
  }

  get node(): NodeServiceClient {
    return this.#client.node;
  }

  /** Why calls fail at once; undefined while they do not. */
  get shutBecause(): string | undefined {
    return this.#shutBecause;
  }

  /** Sends no calls to what answers there, which is not the authority of this node's catalog; undefined: it is. */
  refuse(why: string | undefined): void {
    this.#refusedBecause = why;
  }

  /** What a call carries to act for a caller. */
  vouch(caller: Caller, trace: { readonly trace: RequestTrace }): CallOptions {
    const metadata = Metadata({ 'x-oriel-statement': this.#options.sign(caller) });
    const { requestId, traceparent } = trace.trace;
    if (requestId !== undefined) metadata.set('x-openstack-request-id', requestId);
    if (traceparent !== undefined) metadata.set('traceparent', traceparent);
    return { metadata };
  }

  /**
   * Runs a call that may be sent twice. UNAVAILABLE: the authority does not answer, and nothing is known to have changed; the
   * message says when the call may have been carried out. DEADLINE_EXCEEDED: it answers others, but did not answer this in time.
   */
  async run<Response>(call: () => Promise<Response>, deadlineMs = CALL_DEADLINE_MS): Promise<Response> {
    if (this.#refusedBecause !== undefined)
      throw new ServiceError('UNAVAILABLE', `Nothing can be changed here: ${this.#refusedBecause}`, {
        details: { retry_after: '5' },
      });
    if (this.#shutBecause !== undefined) throw this.#refusal(this.#shutBecause);
    const giveUpMs = performance.now() + RETRY_FOR_MS;
    for (;;) {
      try {
        return await this.#watched(call(), deadlineMs);
      } catch (error) {
        if (!isUnreachable(error)) throw error;
        if (error.reason === 'DEADLINE_EXCEEDED') {
          void this.#doubt(deadlineMs);
          throw error;
        }
        // Another call may have shut the way meanwhile.
        if (this.shutBecause === undefined && performance.now() < giveUpMs) {
          await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
          continue;
        }
        this.#shut(error);
        throw this.#refusal(error.message, error);
      }
    }
  }

  /** Waits for the answer for as long as the way is open; in doubt, finds out whether it is. */
  async #watched<Response>(answer: Promise<Response>, deadlineMs: number): Promise<Response> {
    let end: (why: ServiceError) => void = () => undefined;
    const shut = new Promise<never>((_resolve, reject) => (end = (why) => reject(this.#unknownOutcome(why))));
    this.#running.add(end);
    const doubt = setInterval(() => void this.#doubt(DOUBT_EVERY_MS), DOUBT_EVERY_MS);
    try {
      return await within(Promise.race([answer, shut]), deadlineMs);
    } finally {
      clearInterval(doubt);
      this.#running.delete(end);
    }
  }

  close(): void {
    clearTimeout(this.#probe);
    this.#stop.abort();
    this.#client.close();
  }

  #refusal(why: string, cause?: unknown): ServiceError {
    return new ServiceError(
      'UNAVAILABLE',
      `The catalog's authority does not answer, so nothing can be changed now; reads go on. ${why}`,
      { cause, details: { retry_after: '5' } },
    );
  }

  #unknownOutcome(why: ServiceError): ServiceError {
    return new ServiceError(
      'UNAVAILABLE',
      "The catalog's authority stopped answering before it answered this: whether the change was made is unknown. Look before " +
        `it is made again, or send it again with the same request id, with which it happens once. ${why.message}`,
      { cause: why, details: { retry_after: '5' } },
    );
  }

  #shut(error: ServiceError): void {
    if (this.#stop.signal.aborted || this.#shutBecause !== undefined) return;
    this.#shutBecause = error.message;
    for (const end of this.#running) end(error);
    this.#options.log.warn({ err: error }, 'the authority does not answer; changes are refused until it does');
    this.#probeLater();
  }

  /** Shuts the way unless the authority answers a probe. */
  async #doubt(afterMs: number): Promise<void> {
    if (this.#isDoubted || this.#shutBecause !== undefined) return;
    this.#isDoubted = true;
    const answers = await this.#isAnswered();
    this.#isDoubted = false;
    const message = `no answer came within ${afterMs / 1000} s, nor to a question after that`;
    if (!answers) this.#shut(new ServiceError('DEADLINE_EXCEEDED', message));
  }

  #probeLater(): void {
    this.#probe = setTimeout(() => void this.#ask(), PROBE_EVERY_MS);
  }

  async #ask(): Promise<void> {
    if (this.#isSilent) this.#isSilent = !(await this.#client.renew(PROBE_DEADLINE_MS));
    if (!this.#isSilent && (await this.#isAnswered())) {
      this.#shutBecause = undefined;
      this.#options.log.info({}, 'the authority answers again');
    } else if (!this.#stop.signal.aborted) this.#probeLater();
  }

  async #isAnswered(): Promise<boolean> {
    this.#isSilent = false;
    try {
      await within(this.#client.node.getServiceInfo({}), PROBE_DEADLINE_MS);
      return true;
    } catch (error) {
      this.#isSilent = failedWith(error, 'DEADLINE_EXCEEDED');
      // Also a refusal is an answer.
      return error instanceof ServiceError && !isUnreachable(error);
    }
  }
}

/** The deadline of the client's own middleware counts for streams alone; this one also covers a channel that never connects. */
async function within<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(lateError(timeoutMs)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function lateError(afterMs: number): ServiceError {
  const message = `no answer came within ${afterMs / 1000} s; whether the change was made is unknown`;
  return new ServiceError('DEADLINE_EXCEEDED', message, { details: UNREACHABLE });
}
