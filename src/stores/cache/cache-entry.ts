import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CachedIdentity, CachedImage } from '../../application/ports/image-cache.js';
import { UNIT_BYTES } from '../../base/units.js';
import { unitCountOf } from '../../blocks/file-map.js';
import { flushInTurn } from '../../hostfs/flush-turns.js';
import { errnoOf } from '../../hostfs/fs-error.js';
import { decodeFacts, encodeFacts, type EntryUse } from './entry-facts.js';

const FOLDER_MODE = 0o750;
const FILE_MODE = 0o640;
const ABSENT = 0;
const IN_DATA = 1;
const ALL_ZERO = 2;
/** A larger file is not cached: its flags would take more than a MiB of memory. */
const UNITS_MAX = 1024 * 1024;
/** What a map of UNITS_MAX units may take. */
const MAP_BYTES_MAX = 64 * 1024 * 1024;

interface Files {
  readonly data: FileHandle;
  readonly units: FileHandle;
}

/** What is kept of one image; entry-facts.ts says in which files. How much may be kept is for its owner to say. */
export class CacheEntry {
  readonly identity: CachedIdentity;
  readonly use: EntryUse;
  /** Readers that have it open. */
  users = 0;
  removed = false;
  /** What its owner counts for it: units that are there, and those that are being written. */
  countedBytes: number;
  #folder: string;
  /** By unit, as in the file `units`; of what was written whole. */
  readonly #flags: Uint8Array;
  readonly #writing = new Set<number>();
  #cachedBytes = 0;
  #files: Promise<Files> | undefined;
  #isDirty = false;
  #saving: Promise<void> = Promise.resolve();

  private constructor(folder: string, identity: CachedIdentity, use: EntryUse, flags: Uint8Array) {
    this.#folder = folder;
    this.identity = identity;
    this.use = use;
    this.#flags = flags;
    for (let unitIndex = 0; unitIndex < flags.length; unitIndex++)
      if (flags[unitIndex] === IN_DATA) this.#cachedBytes += this.unitBytes(unitIndex);
    this.countedBytes = this.#cachedBytes;
  }

  /** Makes the folder of an image that there is nothing of. */
  static async create(folder: string, identity: CachedIdentity, use: EntryUse): Promise<CacheEntry> {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { mode: FOLDER_MODE });
    const entry = new CacheEntry(folder, identity, use, new Uint8Array(unitCountOf(identity.sizeBytes)));
    await entry.#save();
    return entry;
  }

  /** Reads what an earlier run left; undefined: nothing that is of use. */
  static async load(folder: string): Promise<CacheEntry | undefined> {
    const text = await readFile(join(folder, 'facts.json'), 'utf8').catch(undefinedWhenMissing);
    const facts = text === undefined ? undefined : decodeFacts(text);
    if (facts === undefined || !isCacheable(facts.identity.sizeBytes)) return undefined;
    const flags = new Uint8Array(unitCountOf(facts.identity.sizeBytes));
    const written = await readFile(join(folder, 'units')).catch(undefinedWhenMissing);
    flags.set((written ?? flags).subarray(0, flags.length).map((flag) => (flag > ALL_ZERO ? ABSENT : flag)));
    return new CacheEntry(folder, facts.identity, facts.use, flags);
  }

  facts(): CachedImage {
    return { ...this.identity, ...this.use, cachedBytes: this.#cachedBytes };
  }

  unitBytes(unitIndex: number): number {
    return Math.min(UNIT_BYTES, this.identity.sizeBytes - unitIndex * UNIT_BYTES);
  }

  has(unitIndex: number): boolean {
    return this.#flags[unitIndex] !== ABSENT && this.#flags[unitIndex] !== undefined && !this.#writing.has(unitIndex);
  }

  /** Whether the unit is there or on its way. */
  isTaken(unitIndex: number): boolean {
    return this.#flags[unitIndex] !== ABSENT || this.#writing.has(unitIndex);
  }

  async read(unitIndex: number): Promise<Uint8Array | undefined> {
    const lengthBytes = this.unitBytes(unitIndex);
    if (!this.has(unitIndex)) return undefined;
    if (this.#flags[unitIndex] === ALL_ZERO) return new Uint8Array(lengthBytes);
    const { data } = await this.#open();
    const unit = Buffer.allocUnsafeSlow(lengthBytes);
    let filled = 0;
    while (filled < lengthBytes) {
      const at = unitIndex * UNIT_BYTES + filled;
      const { bytesRead } = await data.read(unit, filled, lengthBytes - filled, at);
      if (bytesRead === 0) return undefined;
      filled += bytesRead;
    }
    return unit;
  }

  /** Writes a unit that is not taken. Errors are those of the system calls; it is not there then. */
  async write(unitIndex: number, unit: Uint8Array, isZero: boolean): Promise<void> {
    this.#writing.add(unitIndex);
    try {
      const { data, units } = await this.#open();
      const flag = isZero ? ALL_ZERO : IN_DATA;
      // Before the data: a crash in between must not leave bytes on the disk that nobody counts.
      await units.write(Uint8Array.of(flag), 0, 1, unitIndex);
      let written = 0;
      while (!isZero && written < unit.length) {
        const at = unitIndex * UNIT_BYTES + written;
        written += (await data.write(unit, written, unit.length - written, at)).bytesWritten;
      }
      this.#flags[unitIndex] = flag;
      if (!isZero) this.#cachedBytes += unit.length;
    } finally {
      this.#writing.delete(unitIndex);
    }
  }

  /** Forgets the unit and returns how many bytes less are kept. */
  drop(unitIndex: number): number {
    if (!this.has(unitIndex)) return 0;
    const droppedBytes = this.#flags[unitIndex] === IN_DATA ? this.unitBytes(unitIndex) : 0;
    this.#flags[unitIndex] = ABSENT;
    this.#cachedBytes -= droppedBytes;
    return droppedBytes;
  }

  async map(): Promise<Uint8Array | undefined> {
    const path = join(this.#folder, 'map');
    const found = await stat(path).catch(undefinedWhenMissing);
    if (found === undefined || found.size > MAP_BYTES_MAX) return undefined;
    return readFile(path).catch(undefinedWhenMissing);
  }

  /** Keeps the bytes of the map unless they are kept. */
  async keepMap(bytes: () => Uint8Array): Promise<void> {
    const path = join(this.#folder, 'map');
    if ((await stat(path).catch(undefinedWhenMissing)) === undefined) await replaceFile(path, bytes(), { sync: false });
  }

  /** Notes that the facts are others; they are written when the last reader leaves. */
  touch(): void {
    this.#isDirty = true;
  }

  /** Writes the facts after those that are being written. */
  async save(): Promise<void> {
    this.#saving = this.#saving.catch(() => undefined).then(() => this.#save());
    await this.#saving;
  }

  /** Changes the marks once they are written. */
  async mark(marks: Pick<EntryUse, 'pinned' | 'queued'>): Promise<void> {
    this.#saving = this.#saving.catch(() => undefined).then(() => this.#save(marks));
    await this.#saving;
  }

  /** Closes the files; nothing of it is being read or written. */
  async close(): Promise<void> {
    const files = await this.#files?.catch(() => undefined);
    this.#files = undefined;
    await files?.data.close();
    await files?.units.close();
    if (this.#isDirty) await this.save();
  }

  /** Moves the folder out of the way at once and removes it. Files that are open go on until they are closed. */
  async remove(gone: string): Promise<void> {
    this.removed = true;
    // Whoever reads it needs the files open before their names are gone.
    if (this.users > 0) await this.#open().catch(() => undefined);
    await this.#saving.catch(() => undefined);
    await rename(this.#folder, gone);
    this.#folder = gone;
    await rm(gone, { recursive: true, force: true });
  }

  #open(): Promise<Files> {
    this.#files ??= openFiles(this.#folder);
    // The next one tries again.
    this.#files.catch(() => (this.#files = undefined));
    return this.#files;
  }

  async #save(marks: Pick<EntryUse, 'pinned' | 'queued'> = this.use): Promise<void> {
    if (this.removed) return;
    this.#isDirty = false;
    const { pinned, queued } = marks;
    // A name that shows an empty file after a loss of power loses what is cached, which is no matter, and what was asked for.
    const sync = pinned || queued;
    const text = encodeFacts({ identity: this.identity, use: { ...this.use, pinned, queued } });
    await replaceFile(join(this.#folder, 'facts.json'), Buffer.from(text), { sync });
    this.use.pinned = pinned;
    this.use.queued = queued;
  }
}

/** Tells whether a file of this size can be cached at all. */
export function isCacheable(sizeBytes: number): boolean {
  return unitCountOf(sizeBytes) <= UNITS_MAX;
}

async function openFiles(folder: string): Promise<Files> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  const data = await open(join(folder, 'data'), flags, FILE_MODE);
  try {
    return { data, units: await open(join(folder, 'units'), flags, FILE_MODE) };
  } catch (error) {
    await data.close();
    throw error;
  }
}

async function replaceFile(path: string, bytes: Uint8Array, { sync }: { readonly sync: boolean }): Promise<void> {
  const temporary = `${path}.${randomUUID()}`;
  try {
    const file = await open(temporary, 'wx', FILE_MODE);
    try {
      await file.writeFile(bytes);
      if (sync) await flushInTurn(() => file.datasync());
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

function undefinedWhenMissing(error: unknown): undefined {
  if (errnoOf(error) !== 'ENOENT') throw error;
}
