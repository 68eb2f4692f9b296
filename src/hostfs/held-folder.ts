import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { BigIntStats } from 'node:fs';

/**
 * A folder that is held open: what is done in it is done there, whatever its path has come to lead to. Linux resolves
 * `/proc/self/fd/N/name` from the open folder itself, which is what openat(2) does, and Node has no other way to it.
 */
export class HeldFolder {
  readonly #handle: FileHandle;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Opens a folder by its path, which may lead through symbolic links. Errors are those of the system call. */
  static async open(path: string): Promise<HeldFolder> {
    return new HeldFolder(await open(path, constants.O_RDONLY | constants.O_DIRECTORY));
  }

  /** Opens a folder in this one. ENOTDIR: it is none, or a symbolic link. */
  async openFolder(name: string): Promise<HeldFolder> {
    const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
    return new HeldFolder(await open(this.pathOf(name), flags));
  }

  /** A path of the name in this folder, for calls that do not follow a symbolic link at its end. */
  pathOf(name: string): string {
    return `/proc/self/fd/${this.#handle.fd}/${name}`;
  }

  stat(options: { readonly bigint: true }): Promise<BigIntStats> {
    return this.#handle.stat(options);
  }

  /** Gives the folder to an owner. */
  chown(uid: number, gid: number): Promise<void> {
    return this.#handle.chown(uid, gid);
  }

  chmod(mode: number): Promise<void> {
    return this.#handle.chmod(mode);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}
