import type { CatalogContext } from './catalog-context.js';
import type { Garbage } from './ports/catalog.js';

/** Forgets objects that were removed from their stores. */
export async function forgetGarbage(
  context: Pick<CatalogContext, 'catalog' | 'ids'>,
  rows: readonly Garbage[],
): Promise<void> {
  await context.catalog.write(
    rows.map((garbage) => ({ kind: 'remove-garbage', garbage })),
    { opId: context.ids.uuid(), subject: 'garbage' },
  );
}
