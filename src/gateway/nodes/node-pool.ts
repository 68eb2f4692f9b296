/**
 * The nodes behind a gateway, in the order of preference, and which of them answer.
 *
 *   up --a check or a call meets no answer--> down --a check is answered--> up
 *
 * A node that is up is checked each second; one that is down after a pause, which doubles. What runs at a node that goes down
 * is given up at once, so that it can go on at another. The last node that is up is kept while it is silent: it may be busy, and
 * nobody is better. One that a call got an answer from while a check did not is busy, too.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { isUnreachable, ServiceError, UNREACHABLE } from '../../base/service-error.js';
import type { GatewayBackend, GatewayLog, Readiness } from '../gateway-options.js';

const CHECK_EVERY_MS = 1000;
/** A node that is alive answers in a millisecond; a busy one may take a while. In steps: were this process itself held up, a
 *  single timer would be over before the answer that has come is read. */
const CHECK_STEP_MS = 500;
const CHECK_STEPS = 6;
const PAUSE_MIN_MS = 250;
const PAUSE_MAX_MS = 8000;

/** A node as a gateway reaches it. */
export interface GatewayNode {
  /** Its address, for logs and `/readyz`. */
  readonly name: string;
  readonly backend: GatewayBackend;
  /** Asks whether it serves (gRPC health service); rejects with the reason when not. */
  check(signal: AbortSignal): Promise<void>;
  /** After silence: tries a new connection, and has later calls go over one when it is answered. Returns whether it is. */
  renew(): Promise<boolean>;
}

/** A call's stay at a node. */
export class Stay {
  readonly backend: GatewayBackend;
  readonly #member: Member;
  readonly #caller: AbortSignal;
  readonly #own = new AbortController();
  readonly #begunMs = performance.now();
  readonly #onCaller = (): void => this.#own.abort();

  constructor(member: Member, caller: AbortSignal) {
    this.backend = member.node.backend;
    this.#member = member;
    this.#caller = caller;
    member.running.add(this.#own);
    if (caller.aborted) this.#own.abort();
    else caller.addEventListener('abort', this.#onCaller, { once: true });
  }

  /** Fires when the caller goes away, and when the node goes down. */
  get signal(): AbortSignal {
    return this.#own.signal;
  }

  /** From now on the call lives as long as its connection, whatever the checks say of the node. */
  hold(): void {
    this.#member.running.delete(this.#own);
  }

  /** The node answered. */
  answered(): void {
    this.#member.answeredMs = performance.now();
  }

  end(): void {
    this.hold();
    this.#caller.removeEventListener('abort', this.#onCaller);
  }

  /**
   * What the failure of the call comes to. A node that did not answer goes down; a stream that broke off midway is no proof of
   * that: what the node itself read from may have been lost.
   */
  failure(error: unknown, when: 'at the start' | 'midway' = 'at the start'): unknown {
    if (this.#caller.aborted) return error;
    if (this.#own.signal.aborted)
      return new ServiceError('UNAVAILABLE', 'The node stopped answering while the request ran.', {
        cause: error,
        details: UNREACHABLE,
      });
    if (!isUnreachable(error)) this.answered();
    // One call that takes too long says nothing of a node that answers others meanwhile.
    else if (error.reason === 'DEADLINE_EXCEEDED' && this.#member.answeredMs > this.#begunMs) return error;
    else if (when === 'at the start') this.#member.goDown(inFull(error));
    return error;
  }
}

/** With the cause, such as a certificate that is not trusted: the log and `/readyz` are for operators. */
function inFull(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}

/** Tells whether another node may do better: this one did not answer, or cannot now. */
export function mayGoElsewhere(error: unknown): boolean {
  return isUnreachable(error) || (error instanceof ServiceError && error.reason === 'UNAVAILABLE');
}

export class NodePool {
  readonly #members: readonly Member[];

  constructor(nodes: readonly GatewayNode[], log: GatewayLog) {
    this.#members = nodes.map((node) => new Member(node, { log, isLast: (member) => this.#isLast(member) }));
  }

  /** How many failures a caller can meet before every node has been tried. */
  get size(): number {
    return this.#members.length;
  }

  /** Goes through the nodes that are up, the preferred one first; who has what it wants stops. */
  *stays(caller: AbortSignal): Generator<Stay, void, undefined> {
    for (const member of this.#members) if (member.why === undefined) yield new Stay(member, caller);
  }

  /** Runs a call at the first node that is up, and at the next when it does not answer or cannot now. */
  async run<T>(caller: AbortSignal, call: (stay: Stay) => Promise<T>): Promise<T> {
    const failures: unknown[] = [];
    for (const stay of this.stays(caller)) {
      try {
        const answer = await call(stay);
        stay.answered();
        return answer;
      } catch (error) {
        const failure = stay.failure(error);
        if (caller.aborted || !mayGoElsewhere(failure)) throw failure;
        failures.push(failure);
      } finally {
        stay.end();
      }
    }
    throw this.verdict(failures);
  }

  /** What a caller is told after these failures: the first that is a node's own word, or that no node is up. */
  verdict(failures: readonly unknown[]): unknown {
    const said = failures.find((error) => !isUnreachable(error) || error.reason !== 'UNAVAILABLE');
    return (
      said ??
      new ServiceError('UNAVAILABLE', 'No node of the service answers this gateway now.', {
        cause: failures[0],
        details: { ...UNREACHABLE, retry_after: '5' },
      })
    );
  }

  /** Ready while one node is. */
  readiness(): Readiness {
    const parts = this.#members.map(({ node, why }) => ({
      name: `node ${node.name}`,
      ok: why === undefined,
      message: why ?? '',
    }));
    return { ok: parts.some(({ ok }) => ok), parts };
  }

  /** Checks every node now; resolves when all have answered or failed. */
  async check(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.check()));
  }

  close(): void {
    for (const member of this.#members) member.close();
  }

  #isLast(member: Member): boolean {
    return this.#members.every((other) => other === member || other.why !== undefined);
  }
}

class SilentError extends Error {
  override readonly name = 'SilentError';
}

interface Surroundings {
  readonly log: GatewayLog;
  /** Tells whether no other node is up. */
  isLast(member: Member): boolean;
}

class Member {
  readonly node: GatewayNode;
  readonly running = new Set<AbortController>();
  /** Why it is down; undefined while it is up. */
  why: string | undefined;
  /** When a call got an answer from it, by performance.now(). */
  answeredMs = 0;
  readonly #around: Surroundings;
  readonly #stop = new AbortController();
  #pauseMs = PAUSE_MIN_MS;
  #timer: NodeJS.Timeout | undefined;
  #asked: AbortController | undefined;

  constructor(node: GatewayNode, around: Surroundings) {
    this.node = node;
    this.#around = around;
  }

  /** `cut`: what runs there is given up. A node that stops in order ends that itself. */
  goDown(why: string, cut = true): void {
    if (this.why !== undefined || this.#stop.signal.aborted) return;
    this.why = why;
    this.#around.log.warn({ node: this.node.name, problem: why }, 'a node does not answer; requests go to the others');
    if (cut) for (const call of [...this.running]) call.abort();
    this.#pauseMs = PAUSE_MIN_MS;
    this.#checkLater(PAUSE_MIN_MS);
  }

  async check(): Promise<void> {
    clearTimeout(this.#timer);
    // Ends the check of a node that is stopped, too: they would pile up.
    const asked = new AbortController();
    this.#asked = asked;
    const askedMs = performance.now();
    try {
      await soon(this.node.check(asked.signal));
      this.answeredMs = performance.now();
      if (this.why !== undefined) this.#around.log.info({ node: this.node.name }, 'the node answers again');
      this.why = undefined;
      this.#checkLater(CHECK_EVERY_MS);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      const isBusy = this.answeredMs > askedMs || this.#around.isLast(this);
      if (!(error instanceof SilentError && this.why === undefined && isBusy)) this.#failed(error);
      if (error instanceof SilentError) await this.#renew();
    } finally {
      asked.abort();
    }
  }

  close(): void {
    this.#stop.abort();
    this.#asked?.abort();
    clearTimeout(this.#timer);
  }

  #failed(error: unknown): void {
    const why = inFull(error);
    const answered = error instanceof ServiceError && !isUnreachable(error);
    if (this.why === undefined) this.goDown(why, !answered);
    else {
      this.why = why;
      this.#pauseMs = Math.min(this.#pauseMs * 2, PAUSE_MAX_MS);
      this.#checkLater(this.#pauseMs);
    }
  }

  /** The connection may have died without a word while the node is well: its next check then comes at once. */
  async #renew(): Promise<void> {
    clearTimeout(this.#timer);
    const pauseMs = (await this.node.renew()) ? 0 : this.#pauseMs;
    this.#checkLater(this.why === undefined ? CHECK_EVERY_MS : pauseMs);
  }

  #checkLater(inMs: number): void {
    clearTimeout(this.#timer);
    if (this.#stop.signal.aborted) return;
    this.#timer = setTimeout(() => void this.check(), inMs);
    this.#timer.unref();
  }
}

async function soon(answer: Promise<void>): Promise<void> {
  const state = { ended: false };
  const end = (): void => {
    state.ended = true;
  };
  // Handled here already; what it comes to is awaited below.
  const settled = answer.then(end, end);
  for (let step = 0; step < CHECK_STEPS && !state.ended; step += 1)
    await Promise.race([settled, pause(CHECK_STEP_MS, undefined, { ref: false })]);
  if (!state.ended) throw new SilentError(`no answer to a health check within ${CHECK_STEP_MS * CHECK_STEPS} ms`);
  await answer;
}
