import type { Log } from './log.js';
import { isOwn, type OwnNode } from './own-objects.js';
import type { Catalog, Garbage } from './ports/catalog.js';
import type { NodeCommands } from './ports/node-commands.js';
import type { StoreRegistry } from './store-registry.js';

const BATCH = 100;

interface CollectorContext extends OwnNode {
  readonly catalog: Catalog;
  readonly stores: StoreRegistry;
  readonly commands: NodeCommands;
  readonly log: Log;
}

/**
 * Removes from this node's stores what no image uses any more: first the objects, then their rows, so that a crash in
 * between only repeats a removal.
 */
export class GarbageCollector {
  readonly #context: CollectorContext;
  #running: Promise<number> | undefined;
  #next: Promise<number> | undefined;

  constructor(context: CollectorContext) {
    this.#context = context;
  }

  /**
   * Removes all that is garbage now and returns how many objects went. An object whose store refuses stays listed for the
   * next time. Only one collection runs at a time; callers who come meanwhile share the one after it.
   */
  async collect(): Promise<number> {
    if (this.#running === undefined) return this.#start();
    this.#next ??= this.#running.then(
      () => this.#start(),
      () => this.#start(),
    );
    return this.#next;
  }

  /** Removes those of these objects that are this node's; they are garbage already. */
  async remove(rows: readonly Garbage[]): Promise<void> {
    const gone: Garbage[] = [];
    for (const row of rows) if (isOwn(this.#context, row) && (await this.#remove(row))) gone.push(row);
    if (gone.length > 0) await this.#context.commands.forgetGarbage(gone);
  }

  #start(): Promise<number> {
    this.#next = undefined;
    const running = this.#collect().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  async #collect(): Promise<number> {
    const storeIds = this.#context.stores.all.map(({ store }) => store.id);
    const failed = new Set<string>();
    let removed = 0;
    for (;;) {
      // Rows that failed stay at the front, hence the larger page.
      const { nodeId, ownsUnnamed: unnamed } = this.#context;
      const rows = await this.#context.catalog.read((reader) =>
        reader.garbage({ nodeId, unnamed, storeIds }, BATCH + failed.size),
      );
      const due = rows.filter((row) => !failed.has(nameOf(row)));
      if (due.length === 0) return removed;
      const gone: Garbage[] = [];
      for (const row of due)
        if (await this.#remove(row)) gone.push(row);
        else failed.add(nameOf(row));
      if (gone.length > 0) await this.#context.commands.forgetGarbage(gone);
      removed += gone.length;
    }
  }

  async #remove(row: Garbage): Promise<boolean> {
    const store = this.#context.stores.get(row.storeId);
    // The store may be configured again: its garbage stays listed until then.
    if (store === undefined) return false;
    try {
      await store.delete(row.key);
      return true;
    } catch (error) {
      this.#context.log.warn(
        { err: error, store: row.storeId, key: row.key },
        'object not removed, will be tried again',
      );
      return false;
    }
  }
}

function nameOf(row: Garbage): string {
  return `${row.storeId}/${row.key}`;
}
