/**
 * The file `store-id` in the folder of a store, by which a node knows the folder again: the mount point of a disk that is not mounted
 * is an empty folder, and must not pass for a store that has lost everything. Nodes that share a folder share its id.
 */
import { randomUUID } from 'node:crypto';
import { link, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { StoreId } from '../../base/brand.js';
import { ServiceError } from '../../base/service-error.js';
import { syncFolder } from '../../hostfs/folder.js';
import { errnoOf } from '../../hostfs/fs-error.js';

/** The name of the file. */
const NAME = 'store-id';
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** What the node remembers of a store over restarts. */
export interface StoreMemory {
  /** The id of the folder that the store had at first; undefined: the store is new to this node. */
  readonly id: string | undefined;
  /** Keeps it; durable when the promise resolves. */
  remember(id: string): Promise<void>;
}

export class StoreMarker {
  readonly #storeId: StoreId;
  readonly #folder: string;
  readonly #memory: StoreMemory | undefined;
  #id: string | undefined;

  constructor(storeId: StoreId, folder: string, memory: StoreMemory | undefined) {
    this.#storeId = storeId;
    this.#folder = folder;
    this.#memory = memory;
    this.#id = memory?.id;
  }

  /** The node has seen the folder of this store. */
  get isKnown(): boolean {
    return this.#id !== undefined;
  }

  /** Marks the folder of a new store, also one from before there were marks. UNAVAILABLE: it is not the folder of the store. */
  async check(): Promise<void> {
    const found = await this.#read();
    if (this.#id === undefined) {
      const id = found ?? (await this.#write());
      await this.#memory?.remember(id);
      this.#id = id;
    } else if (found !== this.#id) throw this.#otherFolder(found);
  }

  async #read(): Promise<string | undefined> {
    try {
      const text = (await readFile(join(this.#folder, NAME), 'utf8')).trim();
      return UUID.test(text) ? text : undefined;
    } catch (error) {
      const code = errnoOf(error);
      if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
      return undefined;
    }
  }

  /** Another node may do the same: the first one's id is that of both. */
  async #write(): Promise<string> {
    const id = randomUUID();
    const [path, temporary] = [join(this.#folder, NAME), join(this.#folder, `${NAME}.${id}`)];
    try {
      const file = await open(temporary, 'wx', 0o640);
      try {
        await file.writeFile(`${id}\n`);
        await file.datasync();
      } finally {
        await file.close();
      }
      await link(temporary, path).catch(async (error: unknown) => {
        const code = errnoOf(error);
        // No hard links here.
        if (code === 'EPERM' || code === 'ENOTSUP' || code === 'EMLINK') await rename(temporary, path);
        else if (code !== 'EEXIST') throw error;
      });
    } finally {
      await rm(temporary, { force: true });
    }
    await syncFolder(this.#folder);
    const found = await this.#read();
    if (found === undefined) throw this.#error(`the file ${NAME} in its folder has no id: remove it`);
    return found;
  }

  #otherFolder(found: string | undefined): ServiceError {
    const what = found === undefined ? `has no file ${NAME}` : `is that of another store, by its file ${NAME}`;
    return this.#error(
      `its folder ${what}: mount the disk of the store, or, if this folder is to be used from now on, take the store out of ` +
        'stores.json in the data folder of the node and restart it',
    );
  }

  #error(problem: string): ServiceError {
    return new ServiceError('UNAVAILABLE', `store ${this.#storeId}: ${problem}`);
  }
}
