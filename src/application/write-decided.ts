import type { ImageId } from '../base/brand.js';
import { assert } from '../base/assert.js';
import { failedWith } from '../base/service-error.js';
import { type Image, mayBecome } from '../domain/image.js';
import type { CatalogContext } from './catalog-context.js';
import type { Operation } from './operation.js';
import type { CatalogReader, Effect } from './ports/catalog.js';

/** What a use case decided on the strength of a read. No effects: there is nothing to write. */
export interface Decided<T> {
  readonly result: T;
  readonly effects: readonly Effect[];
}

interface DecidedWrite<T> {
  readonly id: ImageId;
  readonly operation: Operation;
  readonly decide: (reader: CatalogReader) => Decided<T>;
}

// A guard fails only when a writer outside this process got in between, or when the change before failed; who loses this
// often has met a bug.
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
  const write = { id: request.id, operation: request.operation, decide };
  for (let tries = 1; ; tries += 1) {
    try {
      const { outcome } = await context.turns.run(request.id, () => takeTurn(context, write));
      return await outcome;
    } catch (error) {
      if (!failedWith(error, 'VERSION_CONFLICT') || request.onlyOnce === true || tries === ATTEMPTS) throw error;
    }
  }
}

/** What comes of a turn; wrapped, because the turn ends before it is known. */
interface Turn<T> {
  readonly outcome: Promise<T>;
}

async function takeTurn<T>(context: CatalogContext, write: DecidedWrite<T>): Promise<Turn<T>> {
  const pending = context.turns.pending(write.id);
  const decided = await attempt(context, write, pending?.image);
  // A refusal, or that there is nothing to do, rests on a change that is not on disk yet: it holds when that one does.
  if (!decided.ok || decided.effects.length === 0) {
    if (pending !== undefined && !(await pending.committed)) return takeTurn(context, write);
    if (!decided.ok) throw decided.error;
    return { outcome: Promise.resolve(decided.result) };
  }
  const { result, effects } = decided;
  const { opId, subject } = write.operation;
  const written = context.catalog.write(effects, { opId, subject });
  const after = imageAlone(effects);
  // Other tables are read as they are on disk, so the next change must find them there.
  if (after === undefined) await written;
  else context.turns.leave(after, written);
  return { outcome: written.then(({ replayed }) => (replayed ? replay(context, write) : result)) };
}

type Attempt<T> = ({ readonly ok: true } & Decided<T>) | { readonly ok: false; readonly error: unknown };

async function attempt<T>(
  context: CatalogContext,
  { decide }: DecidedWrite<T>,
  pending: Image | undefined,
): Promise<Attempt<T>> {
  try {
    const decided = await context.catalog.read((reader) =>
      decide(pending === undefined ? reader : withImage(reader, pending)),
    );
    checkTransitions(decided.effects);
    return { ok: true, ...decided };
  } catch (error) {
    return { ok: false, error };
  }
}

// The same request came twice at once and the other was first: what it did is found by deciding again.
async function replay<T>(context: CatalogContext, { decide }: DecidedWrite<T>): Promise<T> {
  return (await context.catalog.read(decide)).result;
}

/** The image that the effects make, when they touch nothing else. */
function imageAlone(effects: readonly Effect[]): Image | undefined {
  const [only, ...others] = effects;
  return only?.kind === 'update-image' && others.length === 0 ? only.after : undefined;
}

/** The reader with one image as it will be. */
function withImage(reader: CatalogReader, image: Image): CatalogReader {
  return {
    image: (id) => (id === image.id ? image : reader.image(id)),
    imageVersion: (id) => (id === image.id ? image.version : reader.imageVersion(id)),
    member: (imageId, memberId) => reader.member(imageId, memberId),
    members: (imageId, page) => reader.members(imageId, page),
    memberCount: (imageId) => reader.memberCount(imageId),
    upload: (uploadId) => reader.upload(uploadId),
    uploadsOfNode: (nodeId) => reader.uploadsOfNode(nodeId),
    garbage: (place, limit) => reader.garbage(place, limit),
    work: (nodeId, after, limit) => reader.work(nodeId, after, limit),
    workOf: (name) => reader.workOf(name),
    imagesAfter: (after, limit) => reader.imagesAfter(after, limit),
    pendingDeletes: (changedBeforeMs, limit) => reader.pendingDeletes(changedBeforeMs, limit),
    nodes: () => reader.nodes(),
    node: (nodeId) => reader.node(nodeId),
    operation: (opId) => reader.operation(opId),
    feedState: () => reader.feedState(),
    feedEndOf: (epoch) => reader.feedEndOf(epoch),
    changes: (after, limit) => reader.changes(after, limit),
  };
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
