/**
 * Which process fills a partial file: its id and when it started, in a file beside the partial one. One that a process left which
 * runs no more is taken over. Processes that do not see each other (of other hosts, or other PID namespaces) are not kept apart.
 */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, open, rename, unlink } from 'node:fs/promises';
import { ServiceError } from '../base/service-error.js';
import { errnoOf } from '../hostfs/fs-error.js';
import type { HeldFolder } from '../hostfs/held-folder.js';
import { startTimeOf } from '../hostfs/process-start-time.js';
import type { TargetPath } from './target-path.js';

export interface PartLock {
  release(): Promise<void>;
}

const LOCK_MODE = 0o600;
const LOCK_BYTES_MAX = 128;
/** A file is made first and written then. */
const MAKING_MS = 5000;
const TRIES = 3;

/** Takes the partial file for this process. STATE_CONFLICT: another one writes it. Other errors are those of the file system. */
export async function lockPart(folder: HeldFolder, names: TargetPath): Promise<PartLock> {
  const path = folder.pathOf(names.lockName);
  const mine = `${process.pid} ${startTimeOf(process.pid) ?? ''}`;
  for (let tries = 0; tries < TRIES; tries += 1) {
    if (await made(path, mine)) return { release: () => unlink(path) };
    const holder = await holderOf(path);
    if (holder === undefined) continue;
    // What this process left is of an earlier call: two at a time share one.
    if (holder.text !== mine && holder.isRunning) throw taken(names, holder.text);
    const aside = folder.pathOf(`.oriel-${randomUUID()}`);
    if (!(await moved(path, aside))) continue;
    const found = await holderOf(aside);
    // Another process may have taken it over since: it is given back.
    if (found !== undefined && found.text !== holder.text) await link(aside, path).catch(() => undefined);
    await unlink(aside);
    if (found !== undefined && found.text !== holder.text) throw taken(names, found.text);
  }
  throw taken(names, '');
}

async function made(path: string, text: string): Promise<boolean> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  let file: FileHandle;
  try {
    file = await open(path, flags, LOCK_MODE);
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
  try {
    await file.writeFile(text);
  } catch (error) {
    await unlink(path);
    throw error;
  } finally {
    await file.close();
  }
  return true;
}

/** What the file says; undefined: there is none. Nobody is kept out by what another user put there. */
async function holderOf(path: string): Promise<{ readonly text: string; readonly isRunning: boolean } | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    return errnoOf(error) === 'ENOENT' ? undefined : { text: '', isRunning: false };
  }
  try {
    const facts = await file.stat();
    if (!facts.isFile() || facts.uid !== process.geteuid?.()) return { text: '', isRunning: false };
    const { buffer, bytesRead } = await file.read(Buffer.alloc(LOCK_BYTES_MAX), 0, LOCK_BYTES_MAX, 0);
    const text = buffer.toString('latin1', 0, bytesRead);
    if (text === '') return { text, isRunning: Date.now() - facts.mtimeMs < MAKING_MS };
    const [pid = '', startTime] = text.split(' ');
    const current = /^[1-9]\d*$/.test(pid) ? startTimeOf(Number(pid)) : undefined;
    return { text, isRunning: current !== undefined && current === startTime };
  } finally {
    await file.close();
  }
}

async function moved(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

function taken({ path }: TargetPath, holder: string): ServiceError {
  const pid = holder.split(' ')[0] ?? '';
  const who = pid === '' ? 'another process' : `process ${pid}`;
  return new ServiceError('STATE_CONFLICT', `${path}: ${who} puts an image there now; wait for it, then try again`);
}
