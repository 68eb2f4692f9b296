import type { ImageId } from '../base/brand.js';
import type { ImageData } from '../domain/image.js';
import type { Damage, Finding, Location } from '../domain/location.js';
import { type ExamineContext, examineLocation } from './examine-location.js';
import { withIdleLimit } from './idle-limit.js';
import type { Log } from './log.js';
import { isOwn } from './own-objects.js';
import type { NodeCommands } from './ports/node-commands.js';

/** So long nothing more is said of a location, however many readers meet it. */
const SAID_MS = 60_000;
/** Locations of which something was said lately. */
const SAID_MAX = 1000;
/** Reports under way; what is beyond is found again by the next reader. */
const RUNNING_MAX = 8;

interface ReportsContext extends ExamineContext {
  readonly commands: NodeCommands;
  readonly log: Log;
}

/** What is suspected of being damaged. */
export interface Suspect {
  readonly imageId: ImageId;
  readonly location: Location;
  readonly data: ImageData;
}

/** Tells the authority of damage that readers of this node meet: one report a location, whoever meets it. */
export class DamageReports {
  readonly #context: ReportsContext;
  /** When each was said, the longest ago first. */
  readonly #said = new Map<string, number>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #stop = new AbortController();
  #marked = 0;

  constructor(context: ReportsContext) {
    this.#context = context;
  }

  /** Locations that were marked because of this node, since it started. */
  get marked(): number {
    return this.#marked;
  }

  /** A reader met this. Returns at once. */
  note(suspect: Suspect, found: Damage): void {
    const { imageId, location } = suspect;
    const { id, storeId } = location;
    if (location.damage !== undefined || this.#wasSaid(id) || this.#running.has(id)) return;
    if (this.#running.size >= RUNNING_MAX || this.#stop.signal.aborted) return;
    this.#said.set(id, this.#context.timer.elapsedMs());
    const running = this.#tellIfSo(suspect, found)
      .catch((error: unknown) => {
        if (this.#stop.signal.aborted) return;
        this.#context.log.warn({ err: error, imageId, location: id, store: storeId }, 'damage not reported');
      })
      .finally(() => this.#running.delete(id));
    this.#running.set(id, running);
  }

  /** Ends the looks that are under way; resolves when they are over. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running.values());
  }

  // What is not the service's may have been replaced while it was read, or just before.
  async #tellIfSo(suspect: Suspect, found: Damage): Promise<void> {
    const { location } = suspect;
    if (location.created || found !== 'damaged' || !isOwn(this.#context, location)) return this.tell(suspect, found);
    const examination = { signal: this.#stop.signal, pace: () => Promise.resolve(), whole: true };
    const seen = await examineLocation(this.#context, suspect, examination);
    if (seen !== undefined && seen !== 'whole') await this.tell(suspect, seen);
  }

  /** Tells the authority, if it is so; also that a marked location is whole. Reasons are those of the way to the authority, and UNAVAILABLE of the store. */
  async tell(suspect: Suspect, found: Finding): Promise<void> {
    if (found === 'missing' && !(await this.#isMissing(suspect))) return;
    const { imageId, location } = suspect;
    const { commands, log } = this.#context;
    const { id: locationId, storeId, key, nodeId } = location;
    const marked = await commands.reportLocation({ imageId, locationId, key, found });
    if (found === 'whole') log.info({ imageId, location: locationId, store: storeId }, 'location is whole again');
    if (!marked) return;
    this.#marked += location.damage === found ? 0 : 1;
    const fields = { imageId, location: locationId, store: storeId, node: nodeId, found };
    // The key of an object at a URL is that URL, which may let its reader in.
    const named = location.created ? { ...fields, key } : fields;
    log.error(named, 'location marked: its data is not what was stored');
  }

  // A store that is not configured, or does not answer, says nothing about its objects.
  async #isMissing({ location, data }: Suspect): Promise<boolean> {
    if (!isOwn(this.#context, location)) return true;
    const store = this.#context.stores.get(location.storeId);
    if (store === undefined) return false;
    return (await withIdleLimit(store.stat(location.key), this.#context))?.sizeBytes !== data.sizeBytes;
  }

  #wasSaid(id: string): boolean {
    const nowMs = this.#context.timer.elapsedMs();
    for (const [oldest, atMs] of this.#said) {
      if (nowMs - atMs < SAID_MS && this.#said.size <= SAID_MAX) break;
      this.#said.delete(oldest);
    }
    return this.#said.has(id);
  }
}
