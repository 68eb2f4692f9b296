import type { CatalogContext } from './catalog-context.js';
import type { Log } from './log.js';
import type { Garbage } from './ports/catalog.js';
import type { StoreRegistry } from './store-registry.js';

const BATCH = 100;

/**
 * Removes from this node's stores what no image uses any more: first the objects, then their rows, so that a crash in
 * between only repeats a removal.
 */
export class GarbageCollector {
  readonly #context: Pick<CatalogContext, 'catalog' | 'ids'> & { readonly stores: StoreRegistry; readonly log: Log };
  #running: Promise<number> | undefined;
  #next: Promise<number> | undefined;

  constructor(
    context: Pick<CatalogContext, 'catalog' | 'ids'> & { readonly stores: StoreRegistry; readonly log: Log },
  ) {
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

  /** Removes just these objects, which are garbage already. */
  async remove(rows: readonly Garbage[]): Promise<void> {
    const gone: Garbage[] = [];
    for (const row of rows) if (await this.#remove(row)) gone.push(row);
    if (gone.length > 0) await this.#forget(gone);
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
      const rows = await this.#context.catalog.read((reader) => reader.garbage(storeIds, BATCH + failed.size));
      const due = rows.filter((row) => !failed.has(nameOf(row)));
      if (due.length === 0) return removed;
      const gone: Garbage[] = [];
      for (const row of due)
        if (await this.#remove(row)) gone.push(row);
        else failed.add(nameOf(row));
      if (gone.length > 0) await this.#forget(gone);
      removed += gone.length;
    }
  }

  async #remove(row: Garbage): Promise<boolean> {
    try {
      await this.#context.stores.get(row.storeId)?.delete(row.key);
      return true;
    } catch (error) {
      this.#context.log.warn(
        { err: error, store: row.storeId, key: row.key },
        'object not removed, will be tried again',
      );
      return false;
    }
  }

  async #forget(gone: readonly Garbage[]): Promise<void> {
    const { catalog, ids } = this.#context;
    await catalog.write(
      gone.map((garbage) => ({ kind: 'remove-garbage', garbage })),
      { opId: ids.uuid(), subject: 'garbage' },
    );
  }
}

function nameOf(row: Garbage): string {
  return `${row.storeId}/${row.key}`;
}
