import type { ImageId } from '../base/brand.js';
import { assert } from '../base/assert.js';
import { failedWith } from '../base/service-error.js';
import { mayBecome } from '../domain/image.js';
import type { CatalogContext } from './catalog-context.js';
import type { Operation } from './operation.js';
import type { CatalogReader, Effect } from './ports/catalog.js';

/** What a use case decided on the strength of a read. No effects: there is nothing to write. */
export interface Decided<T> {
  readonly result: T;
  readonly effects: readonly Effect[];
}

// A guard fails only when a writer outside this process got in between; who loses this often has met a bug.
const ATTEMPTS = 8;

/**
 * Reads, lets `decide` say what is to be written, and writes it, one change of an image after the other; decides anew when
 * a guard fails because of another writer (VERSION_CONFLICT), unless `onlyOnce`.
 */
export async function writeDecided<T>(
  context: CatalogContext,
  request: { readonly id: ImageId; readonly operation: Operation; readonly onlyOnce?: boolean },
  decide: (reader: CatalogReader) => Decided<T>,
): Promise<T> {
  const attempt = async (): Promise<T> => {
    const { result, effects } = await context.catalog.read(decide);
    checkTransitions(effects);
    if (effects.length === 0) return result;
    const { opId, subject } = request.operation;
    const { replayed } = await context.catalog.write(effects, { opId, subject });
    // The same request came twice at once and the other was first: what it did is found by deciding again.
    return replayed ? (await context.catalog.read(decide)).result : result;
  };
  return context.locks.run(request.id, async () => {
    for (let tries = 1; ; tries += 1) {
      try {
        return await attempt();
      } catch (error) {
        if (!failedWith(error, 'VERSION_CONFLICT') || request.onlyOnce === true || tries === ATTEMPTS) throw error;
      }
    }
  });
}

// Images API v2 §4.2: a use case that decided on a transition outside the table has a bug, which must not reach the disk.
function checkTransitions(effects: readonly Effect[]): void {
  for (const effect of effects) {
    if (effect.kind !== 'update-image') continue;
    const { before, after } = effect;
    assert(
      after.status === before.status || mayBecome(before.status, after.status),
      `an image may go from ${before.status} to ${after.status}`,
    );
  }
}
