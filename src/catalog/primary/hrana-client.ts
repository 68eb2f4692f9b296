/**
 * Requests to one run of `sqld`. The public client is not used: it has no time-outs and takes three to five times as long
 * for a call (reference libsql.md, "Writes").
 */
import { Agent, request } from 'node:http';
import type { AccessTokens } from './access-tokens.js';
import { type BatchAnswer, type BatchStep, parseBatchAnswer, pipelineBody } from './hrana-protocol.js';

/**
 * - `unreachable`: nobody listens, so nothing ran.
 * - `refused`: the server took the request and ran nothing of it (4xx).
 * - `unknown`: nobody can say what it ran.
 */
type Outcome = 'unreachable' | 'refused' | 'unknown';

export class HranaError extends Error {
  override readonly name = 'HranaError';
  readonly outcome: Outcome;

  constructor(outcome: Outcome, message: string, cause?: unknown) {
    super(message, { cause });
    this.outcome = outcome;
  }
}

export interface CallOptions {
  readonly baton: string | null;
  /** Ends the stream with this request. */
  readonly close: boolean;
  readonly timeoutMs: number;
}

/** The server answers at most 10 MB (`--max-response-size`); more is not its answer. */
const ANSWER_LIMIT_BYTES = 16 * 2 ** 20;
const TOKEN_TTL_SECONDS = 3600;

export class HranaClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 });
  readonly #port: number;
  readonly #tokens: AccessTokens;
  #token = { text: '', renewAtMs: 0 };

  constructor(port: number, tokens: AccessTokens) {
    this.#port = port;
    this.#tokens = tokens;
  }

  /** Sends the steps as one batch. @throws HranaError. */
  async batch(steps: readonly BatchStep[], options: CallOptions): Promise<BatchAnswer> {
    const { status, text } = await this.#post(pipelineBody(steps, options), options.timeoutMs);
    if (status >= 400 && status < 500) throw new HranaError('refused', `HTTP ${status}: ${text.slice(0, 300)}`);
    if (status !== 200) throw new HranaError('unknown', `HTTP ${status}: ${text.slice(0, 300)}`);
    try {
      return parseBatchAnswer(text, steps.length);
    } catch (cause) {
      throw new HranaError('unknown', 'sqld gave an answer that is none to a batch', cause);
    }
  }

  /** Ends every request under way. */
  close(): void {
    this.#agent.destroy();
  }

  #bearer(): string {
    const nowMs = Date.now();
    if (nowMs >= this.#token.renewAtMs) {
      const text = this.#tokens.mint('rw', TOKEN_TTL_SECONDS, nowMs);
      this.#token = { text, renewAtMs: nowMs + TOKEN_TTL_SECONDS * 500 };
    }
    return this.#token.text;
  }

  #post(body: string, timeoutMs: number): Promise<{ readonly status: number; readonly text: string }> {
    return new Promise((resolve, reject) => {
      const content = Buffer.from(body);
      const call = request({
        host: '127.0.0.1',
        port: this.#port,
        path: '/v3/pipeline',
        method: 'POST',
        agent: this.#agent,
        headers: {
          authorization: `Bearer ${this.#bearer()}`,
          'content-type': 'application/json',
          'content-length': content.length,
        },
      });
      // The whole exchange, which the socket's own time-out of inactivity does not bound.
      const deadline = setTimeout(() => call.destroy(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
      const fail = (cause: Error): void => {
        clearTimeout(deadline);
        const unreachable = 'code' in cause && cause.code === 'ECONNREFUSED';
        reject(new HranaError(unreachable ? 'unreachable' : 'unknown', `sqld: ${cause.message}`, cause));
      };
      call.on('error', fail);
      call.on('response', (response) => {
        const chunks: Buffer[] = [];
        let sizeBytes = 0;
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          sizeBytes += chunk.length;
          if (sizeBytes > ANSWER_LIMIT_BYTES) call.destroy(new Error(`an answer over ${ANSWER_LIMIT_BYTES} bytes`));
        });
        // Raised instead of `end` when the connection breaks in the middle of the body.
        response.on('error', fail);
        response.on('end', () => {
          clearTimeout(deadline);
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
        });
      });
      call.end(content);
    });
  }
}
