import { constants, type Stats } from 'node:fs';
import { copyFile, type FileHandle, link, lstat, open, rename, unlink } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { PartialFile, PublishOptions, TargetFile } from '../application/ports/target-files.js';
import type { UnitCopier } from '../application/ports/unit-copier.js';
import { ServiceError } from '../base/service-error.js';
import { flushInTurn } from '../hostfs/flush-turns.js';
import { errnoOf, wrappingFsErrors } from '../hostfs/fs-error.js';
import { syncFolder } from '../hostfs/folder.js';
import type { HeldFolder } from '../hostfs/held-folder.js';
import { HostPart } from './host-part.js';
import { lockPart, type PartLock } from './part-lock.js';
import type { TargetPath } from './target-path.js';

/** Hypervisors run as another user than the node. */
const FILE_MODE = 0o644;
/** A second name of a stored object: nobody shall write to it. */
const LINKED_MODE = 0o444;
/** What the kernel answers when two files cannot share blocks, have no common file system, or one of them is gone or unreadable. */
const UNFIT = new Set([
  'ENOENT',
  'EIO',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EXDEV',
  'EINVAL',
  'ENOTTY',
  'ENOSYS',
  'EPERM',
  'EMLINK',
  'EACCES',
]);

export interface TargetParts {
  /** Opens what the path of the folder leads to by then. */
  readonly again: () => Promise<HeldFolder>;
  readonly copier: UnitCopier;
}

/** A file in a folder that is held open. */
export class HostTarget implements TargetFile {
  readonly id: string;
  readonly path: string;
  readonly #folder: HeldFolder;
  readonly #names: TargetPath;
  readonly #openAgain: () => Promise<HeldFolder>;
  readonly #copier: UnitCopier;
  #linked = false;
  /** The partial file that was made or opened here. */
  #part: string | undefined;
  #lock: Promise<PartLock> | undefined;

  private constructor(folder: HeldFolder, names: TargetPath, parts: TargetParts & { id: string }) {
    this.id = parts.id;
    this.path = names.path;
    this.#folder = folder;
    this.#names = names;
    this.#openAgain = parts.again;
    this.#copier = parts.copier;
  }

  /** Takes over the folder. */
  static async in(folder: HeldFolder, names: TargetPath, parts: TargetParts): Promise<HostTarget> {
    return new HostTarget(folder, names, { ...parts, id: `${await idOf(folder)}/${names.name}` });
  }

  async checkFree({ overwrite }: Pick<PublishOptions, 'overwrite'>): Promise<void> {
    const found = await this.#wrapped('looking at what is there', () =>
      lstat(this.#targetPath).catch((error: unknown) => {
        if (errnoOf(error) === 'ENOENT') return undefined;
        throw error;
      }),
    );
    if (found === undefined) return;
    if (!found.isFile()) {
      const what = found.isSymbolicLink()
        ? 'a symbolic link'
        : found.isDirectory()
          ? 'a folder'
          : 'a device, pipe or socket';
      throw new ServiceError('FORBIDDEN', `${this.path} is ${what}, which is never replaced`);
    }
    if (!overwrite) throw this.#taken();
  }

  async reflink(fileUrl: string): Promise<boolean> {
    const mode = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE;
    return this.#shared('sharing blocks', async () => {
      await copyFile(fileURLToPath(fileUrl), this.#linkPath, mode);
      const { size } = await lstat(fileURLToPath(fileUrl));
      await within(this.#linkPath, async (made) => {
        const facts = await made.stat();
        if (!isOwn(facts) || facts.size !== size) throw this.#replaced();
        this.#part = await idOf(made);
      });
    });
  }

  async hardLink(fileUrl: string): Promise<boolean> {
    this.#linked = await this.#shared('linking', async () => {
      await link(fileURLToPath(fileUrl), this.#linkPath);
      const source = await lstat(fileURLToPath(fileUrl), { bigint: true });
      await within(this.#linkPath, async (made) => {
        this.#part = await idOf(made);
        if (this.#part !== `${source.dev}:${source.ino}`) throw this.#replaced();
        await made.chmod(LINKED_MODE);
      });
    });
    return this.#linked;
  }

  async openPart(): Promise<PartialFile> {
    return this.#wrapped('opening the partial file', async () => {
      await this.#hold();
      const part = (await openOwn(this.#partPath)) ?? (await this.#newPart());
      this.#part = await idOf(part);
      return HostPart.of(part, this.path, this.#copier);
    });
  }

  async removePart(): Promise<void> {
    this.#linked = false;
    await this.#wrapped('removing the partial file', async () => {
      await this.#hold();
      await unlinkIfThere(this.#partPath);
    });
  }

  async publish(options: PublishOptions): Promise<void> {
    await this.checkFree(options);
    await this.#checkFolder();
    await this.#wrapped('giving it its name', async () => {
      await within(this.#partPath, async (part) => {
        // Whoever may write to the folder may have put another file there, which must not be given away.
        if ((await idOf(part)) !== this.#part) throw this.#replaced();
        if (!this.#linked) await this.#handOver(part);
        if (options.flush) await flushInTurn(() => part.sync());
      });
      if (options.overwrite) await rename(this.#partPath, this.#targetPath);
      else await this.#nameNew();
      // Also where source and target were one file already: rename leaves both names then.
      await unlinkIfThere(this.#partPath);
      if (options.flush) await syncFolder(this.#folder.pathOf('.'));
    });
  }

  async close(): Promise<void> {
    const lock = await this.#lock?.catch(() => undefined);
    await lock?.release().catch(() => undefined);
    await this.#folder.close();
  }

  /** From here to the end no other process fills the partial file. */
  async #hold(): Promise<void> {
    this.#lock ??= lockPart(this.#folder, this.#names);
    await this.#lock;
  }

  get #partPath(): string {
    return this.#folder.pathOf(this.#names.partName);
  }

  get #linkPath(): string {
    return this.#folder.pathOf(this.#names.linkName);
  }

  get #targetPath(): string {
    return this.#folder.pathOf(this.#names.name);
  }

  /** Makes a file that replaces the partial one; that one is left alone when the file systems cannot do it so: false. */
  async #shared(doing: string, make: () => Promise<void>): Promise<boolean> {
    return this.#wrapped(doing, async () => {
      await this.#hold();
      await unlinkIfThere(this.#linkPath);
      try {
        await make();
      } catch (error) {
        await unlinkIfThere(this.#linkPath);
        if (UNFIT.has(errnoOf(error) ?? '')) return false;
        throw error;
      }
      // First away with the other: a rename of a file onto itself does nothing.
      await unlinkIfThere(this.#partPath);
      await rename(this.#linkPath, this.#partPath);
      return true;
    });
  }

  async #newPart(): Promise<FileHandle> {
    await unlinkIfThere(this.#partPath);
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    return open(this.#partPath, flags, FILE_MODE);
  }

  /** A link never replaces anything, a rename would. */
  async #nameNew(): Promise<void> {
    try {
      await link(this.#partPath, this.#targetPath);
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') throw this.#taken();
      // File systems without hard links (FAT, some of FUSE's); what is there was looked at a moment ago.
      if (!UNFIT.has(errnoOf(error) ?? '')) throw error;
      await rename(this.#partPath, this.#targetPath);
    }
  }

  /** The file belongs to whom its folder belongs to, if the node may give it away. */
  async #handOver(part: FileHandle): Promise<void> {
    // Of a second name, whoever made it would keep the file.
    if ((await part.stat()).nlink !== 1) throw this.#replaced();
    await part.chmod(FILE_MODE);
    const { uid, gid } = await this.#folder.stat({ bigint: true });
    if (process.geteuid?.() === 0) await part.chown(Number(uid), Number(gid));
  }

  async #checkFolder(): Promise<void> {
    const now = await this.#openAgain();
    try {
      if ((await idOf(now)) === (await idOf(this.#folder))) return;
      throw new ServiceError('STATE_CONFLICT', `${this.path}: its folder was replaced by another meanwhile; try again`);
    } finally {
      await now.close();
    }
  }

  #taken(): ServiceError {
    return new ServiceError('ALREADY_EXISTS', `${this.path} is there already; overwriting replaces it`);
  }

  #replaced(): ServiceError {
    return new ServiceError('STATE_CONFLICT', `${this.path}: its partial file was replaced by another; try again`);
  }

  #wrapped<T>(doing: string, work: () => Promise<T>): Promise<T> {
    return wrappingFsErrors(`${this.path}: ${doing}`, async () => {
      try {
        return await work();
      } catch (cause) {
        const code = errnoOf(cause) ?? '';
        if (!['EACCES', 'EPERM', 'EROFS'].includes(code)) throw cause;
        const message = `${this.path}: ${doing}: the user of the node may not write to its folder (${code})`;
        throw new ServiceError('UNAVAILABLE', message, { cause });
      }
    });
  }
}

async function idOf(opened: HeldFolder | FileHandle): Promise<string> {
  const { dev, ino } = await opened.stat({ bigint: true });
  return `${dev}:${ino}`;
}

/** Does something with a file that is there, through no symbolic link. */
async function within(path: string, use: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    await use(file);
  } finally {
    await file.close();
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error;
  });
}

/** A file of this user that has no other name. */
function isOwn(facts: Stats): boolean {
  return facts.isFile() && facts.nlink === 1 && facts.uid === process.geteuid?.();
}

/**
 * Opens a file only if it is one that this user made and that has no other name: writing to it must not write to somebody else's
 * file that was linked here, nor to the target of an earlier run.
 */
async function openOwn(path: string): Promise<FileHandle | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    // Not there, or not to be opened so: it is removed and made anew.
    return undefined;
  }
  if (isOwn(await file.stat())) return file;
  await file.close();
  return undefined;
}
