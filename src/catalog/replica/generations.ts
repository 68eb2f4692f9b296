/**
 * The files of a replica in its folder. A copy is a generation: a new one is made beside the one in use and takes its place
 * when it is whole.
 *
 *   replica.json                  which generation is in use; written by rename, so that it is the old or the new one
 *   replica.<n>.db                generation n; with it -wal, -shm (SQLite's) and -client_wal_index (libSQL's: how far the
 *                                 file has come). They belong together: libSQL fills a file that is gone but for its index
 *                                 with nothing, and says it is up to date
 *   replica.lock                  held by the process that syncs
 *   replica.news                  how old the copy is (last-news.ts)
 */
import type { Point } from '../../domain/position.js';
import { existsSync, mkdirSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReplicaLog } from './replica-log.js';
import { messageOf } from './sync-failure.js';

const STATE = 'replica.json';
/** A sync writes at most a few hundred KiB at a time. */
const ROOM_BYTES = 1024 * 1024;
const FILE = /^replica\.(\d{1,9})\.db/;

export interface ReplicaState {
  /** The generation in use; 0 before the first is whole. */
  readonly generation: number;
  /** A position that it has had: the first that was seen of its epoch, or the last of all when the node was stopped in order. */
  readonly position: Point;
  /** Why the generation may be read but not brought forward; empty when it may. */
  readonly condemned: string;
}

const NONE: ReplicaState = { generation: 0, position: { epoch: 0, frame: 0 }, condemned: '' };

export class Generations {
  readonly #directory: string;
  #state: ReplicaState;
  #last: number;

  private constructor(directory: string, state: ReplicaState, last: number) {
    this.#directory = directory;
    this.#state = state;
    this.#last = last;
  }

  /** Reads the folder, which is made when absent. A state that cannot be read counts as none: it is copied again. */
  static async open(directory: string, log: ReplicaLog): Promise<Generations> {
    await mkdir(directory, { recursive: true, mode: 0o750 });
    const state = readState(join(directory, STATE), log);
    const numbers = (await readdir(directory)).map(generationOf);
    return new Generations(directory, state, Math.max(state.generation, ...numbers));
  }

  get state(): ReplicaState {
    return this.#state;
  }

  get lockPath(): string {
    return join(this.#directory, 'replica.lock');
  }

  get newsPath(): string {
    return join(this.#directory, 'replica.news');
  }

  pathOf(generation: number): string {
    return join(this.#directory, `replica.${generation}.db`);
  }

  /** A number that no generation in this folder has had. */
  next(): number {
    this.#last += 1;
    return this.#last;
  }

  /** Makes the folder when somebody has removed it; answers what hinders that, in words. */
  makeFolder(): string | undefined {
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o750 });
      return undefined;
    } catch (error) {
      return `its folder cannot be made: ${messageOf(error)}`;
    }
  }

  /** What is missing of the generation's files, in words, or undefined. */
  missing(generation: number): string | undefined {
    const path = this.pathOf(generation);
    if (isGone(path)) return 'its file is gone';
    return isGone(`${path}-client_wal_index`) ? 'its index of frames is gone' : undefined;
  }

  /** Tells whether the folder's disk has no room for a sync. libSQL does not say so in words. */
  hasNoRoom(): boolean {
    try {
      const { bavail, bsize } = statfsSync(this.#directory);
      return bavail * bsize < ROOM_BYTES;
    } catch {
      // Without its folder, a sync has another trouble than room.
      return false;
    }
  }

  /** Tells one file from another that took its name; undefined: it cannot be seen. */
  fileNumber(generation: number): number | undefined {
    try {
      return statSync(this.pathOf(generation), { throwIfNoEntry: false })?.ino;
    } catch {
      return undefined;
    }
  }

  /** Puts the generation in use, or its position forward. */
  async record(generation: number, position: Point): Promise<void> {
    await this.#write({ generation, position, condemned: '' });
  }

  /** Says that the generation has to be replaced, if it is the one that the state names. */
  async condemn(generation: number, reason: string): Promise<void> {
    if (this.#state.generation === generation) await this.#write({ ...this.#state, condemned: reason });
  }

  /**
   * Removes the files of all generations but these and the one that the state names: until another is recorded it is what a
   * restart reads, and what `oriel catalog promote` takes, in whatever condition it is.
   */
  async removeAllBut(kept: readonly number[]): Promise<void> {
    for (const name of await readdir(this.#directory)) {
      const generation = generationOf(name);
      if (generation === 0 || generation === this.#state.generation || kept.includes(generation)) continue;
      await rm(join(this.#directory, name), { force: true });
    }
  }

  async #write(state: ReplicaState): Promise<void> {
    const path = join(this.#directory, STATE);
    const file = await open(`${path}.new`, 'w', 0o640);
    try {
      await file.writeFile(`${JSON.stringify(state)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.new`, path);
    await flush(this.#directory);
    this.#state = state;
  }
}

function generationOf(name: string): number {
  return Number(FILE.exec(name)?.[1] ?? 0);
}

/** What cannot be looked at (EACCES, EIO) is not gone. */
function isGone(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) === undefined;
  } catch {
    return false;
  }
}

async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

function readState(path: string, log: ReplicaLog): ReplicaState {
  if (!existsSync(path)) return NONE;
  try {
    const state = asState(JSON.parse(readFileSync(path, 'utf8')));
    if (state !== undefined) return state;
  } catch (error) {
    log.warn({ problem: String(error) }, 'catalog: the state of the replica cannot be read');
  }
  log.error({}, 'catalog: expected a generation in replica.json; the catalog is copied from the primary again');
  return NONE;
}

function asState(value: unknown): ReplicaState | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (!('generation' in value && 'position' in value && 'condemned' in value)) return undefined;
  const { generation, position, condemned } = value;
  if (typeof position !== 'object' || position === null || !('epoch' in position && 'frame' in position))
    return undefined;
  const { epoch, frame } = position;
  if (!isCount(generation) || !isCount(epoch) || !isCount(frame)) return undefined;
  if (typeof condemned !== 'string') return undefined;
  return { generation, position: { epoch, frame }, condemned };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
