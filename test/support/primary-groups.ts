import type { Position } from '../../src/application/ports/catalog.js';
import type { Sqld } from './sqld.js';

/** The store that the written objects belong to. */
export const STORE = 'store';

/** Writes to a primary as the authority's lane does: groups that move the position. */
export class PrimaryGroups {
  readonly #sqld: Sqld;
  #epoch = 1;
  #frame = 0;

  constructor(sqld: Sqld) {
    this.#sqld = sqld;
  }

  /** How many groups were committed. */
  get count(): number {
    return this.#frame;
  }

  get position(): Position {
    return { epoch: this.#epoch, frame: this.#frame, opId: `op-${this.#frame}` };
  }

  /** Commits a group that adds an object to the garbage, with a text to make it as big as wanted. */
  async commit(text = ''): Promise<Position> {
    const frame = this.#frame + 1;
    await this.#sqld.batch([
      {
        sql: 'insert into ops (op_id, nonce, subject, at_ms, frame) values (?, ?, ?, 0, ?)',
        args: [`op-${frame}`, 'nonce', text, frame],
      },
      { sql: 'insert into garbage (store_id, object_key) values (?, ?)', args: [STORE, `object-${frame}`] },
      { sql: "update meta set value = ? where name = 'frame'", args: [frame] },
    ]);
    this.#frame = frame;
    return this.position;
  }

  /** Begins a new epoch, as the authority does whenever sqld starts. */
  async raiseEpoch(by = 1): Promise<Position> {
    this.#epoch += by;
    await this.#sqld.batch([{ sql: "update meta set value = ? where name = 'epoch'", args: [this.#epoch] }]);
    return this.position;
  }
}
