import { ServiceError } from './service-error.js';

/** What the codes of failed system calls mean, and what to do. */
const WORDS: ReadonlyMap<string, string> = new Map([
  ['EACCES', 'this user may not use it: name another, or run as a user who may'],
  ['EADDRINUSE', 'another program listens there: stop it, or name another address'],
  ['EADDRNOTAVAIL', 'this machine does not have the address: name one of its own'],
  ['EEXIST', 'there is a file of this name: name another, or remove it'],
  ['EISDIR', 'it is a folder: name a file'],
  ['ELOOP', 'its symbolic links go in a circle: name another'],
  ['EMFILE', 'too many files are open: raise the limit of open files'],
  ['ENAMETOOLONG', 'the name is too long: name a shorter one'],
  ['ENOENT', 'there is no such file or folder: name one that is there'],
  ['ENOSPC', 'no room is left: make room, or name another place'],
  ['ENOTDIR', 'a part of the path is a file, not a folder: name another'],
  ['EPERM', 'this user may not use it: name another, or run as a user who may'],
  ['EROFS', 'the file system is read-only: name another place'],
]);

/**
 * Returns the error of a system call with what it was about, in words: `--ca /x.pem: ENOENT: there is …`. Anything else comes
 * back as it is. `what` is what the user named: an option with its value, or a path.
 */
export function systemError(what: string, error: unknown): unknown {
  const code = codeOf(error);
  if (code === undefined || error instanceof ServiceError) return error;
  return new ServiceError('UNAVAILABLE', `${what}: ${codeWords(code, error)}`, { cause: error });
}

/** Runs work on what the user named, and says so when a system call fails. */
export function naming<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw systemError(what, error);
  }
}

/** The same for work that takes a while. */
export async function namingLater<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw systemError(what, error);
  }
}

/** The code and what it means; codes without words have those of the system. */
export function codeWords(code: string, error: unknown): string {
  const words = WORDS.get(code);
  if (words !== undefined) return `${code}: ${words}`;
  const message = error instanceof Error ? error.message : String(error);
  return message.includes(code) ? message : `${code}: ${message}`;
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
