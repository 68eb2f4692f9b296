import type { HranaClient } from './hrana-client.js';
import { HranaError } from './hrana-client.js';
import type { BatchStep, StepOutcome } from './hrana-protocol.js';

/** The server forgets a stream after 10 s without a request. */
const REUSE_MS = 8000;

/**
 * One stream: requests that share a connection of the server, which would otherwise open the database and read its schema
 * for each. One request at a time.
 */
export class HranaStream {
  readonly #client: Pick<HranaClient, 'batch'>;
  #baton: string | null = null;
  #lastMs = 0;

  constructor(client: Pick<HranaClient, 'batch'>) {
    this.#client = client;
  }

  /**
   * Runs the steps.
   *
   * @throws HranaError `unknown`: the stream must not be used again, since the steps may still be running on its connection.
   */
  async batch(steps: readonly BatchStep[], timeoutMs: number): Promise<readonly StepOutcome[]> {
    const reused = Date.now() - this.#lastMs < REUSE_MS ? this.#baton : null;
    try {
      return await this.#send(steps, { baton: reused, timeoutMs });
    } catch (error) {
      if (reused === null || !(error instanceof HranaError) || error.outcome !== 'refused') throw error;
      // The server has forgotten the stream, and so has run nothing.
      return await this.#send(steps, { baton: null, timeoutMs });
    }
  }

  async #send(
    steps: readonly BatchStep[],
    options: { readonly baton: string | null; readonly timeoutMs: number },
  ): Promise<readonly StepOutcome[]> {
    this.#baton = null;
    const { baton, outcomes } = await this.#client.batch(steps, { ...options, close: false });
    this.#baton = baton;
    this.#lastMs = Date.now();
    if ('code' in outcomes) throw new HranaError('unknown', `sqld: ${outcomes.code}: ${outcomes.message}`);
    return outcomes;
  }
}
