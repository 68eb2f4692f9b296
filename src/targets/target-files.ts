import { mkdir, realpath, rmdir } from 'node:fs/promises';
import type { TargetFile, TargetFiles } from '../application/ports/target-files.js';
import type { UnitCopier } from '../application/ports/unit-copier.js';
import { ServiceError } from '../base/service-error.js';
import { errnoOf, wrapFsError } from '../hostfs/fs-error.js';
import { HeldFolder } from '../hostfs/held-folder.js';
import { HostTarget } from './host-target.js';
import { type TargetPath, targetPathOf } from './target-path.js';

const NEW_FOLDER_MODE = 0o755;

/** Files beneath these folders of the host, which must be absolute paths. */
export function createTargetFiles(roots: readonly string[], copier: UnitCopier): TargetFiles {
  return {
    async open(place): Promise<TargetFile> {
      const path = targetPathOf(place, roots);
      const folder = await openFolderOf(path);
      try {
        return await HostTarget.in(folder, path, { again: () => openFolderOf(path), copier });
      } catch (error) {
        await folder.close();
        throw wrapFsError(error, `${path.path}: looking at its folder`);
      }
    },
  };
}

/** Walks from the root to the folder of the file, one name after the other, through no symbolic link. */
async function openFolderOf(path: TargetPath): Promise<HeldFolder> {
  // The operator may well give a symbolic link as a root; below it none is followed.
  let folder = await opening(path, '', async () => HeldFolder.open(await realpath(path.root)));
  let at = path.root;
  for (const [index, name] of path.folders.entries()) {
    at = `${at}/${name}`;
    const parent = folder;
    const makes = path.makesFolder && index === path.folders.length - 1;
    try {
      folder = await opening(path, at, () => (makes ? openOrMake(parent, name) : parent.openFolder(name)));
    } finally {
      await parent.close();
    }
  }
  return folder;
}

async function opening(path: TargetPath, at: string, open: () => Promise<HeldFolder>): Promise<HeldFolder> {
  try {
    return await open();
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === 'ENOENT')
      throw new ServiceError('STATE_CONFLICT', `${path.path}: there is no folder ${at}; make it first`, { cause });
    if (code === 'ENOTDIR' || code === 'ELOOP')
      throw new ServiceError('FORBIDDEN', `${path.path}: ${at} is no folder; symbolic links are not followed`, {
        cause,
      });
    throw wrapFsError(cause, `${path.path}: opening the folder ${at}`);
  }
}

async function openOrMake(parent: HeldFolder, name: string): Promise<HeldFolder> {
  try {
    return await parent.openFolder(name);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  const { uid, gid } = await parent.stat({ bigint: true });
  try {
    await mkdir(parent.pathOf(name), { mode: NEW_FOLDER_MODE });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    return parent.openFolder(name);
  }
  const folder = await parent.openFolder(name);
  try {
    // Whatever the umask of the node is: hypervisors run as other users.
    await folder.chmod(NEW_FOLDER_MODE);
    // Nova has to be able to add and remove files in it.
    if (uid !== (await folder.stat({ bigint: true })).uid) await folder.chown(Number(uid), Number(gid));
    return folder;
  } catch (error) {
    await folder.close();
    await rmdir(parent.pathOf(name));
    throw error;
  }
}
