/** A small file system in memory, mounted in a mount namespace of its own, that outlives the nodes which run in it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readlinkSync, rmSync, statfsSync, writeSync } from 'node:fs';
import path from 'node:path';
import { errnoOf } from '../../src/hostfs/fs-error.js';
import { eventually } from './eventually.js';
import { tempFolder } from './temp-folder.js';
import { hasTool } from './tool.js';

const UNSHARE = process.getuid?.() === 0 ? '-m' : '-rm';
const MIB = 1024 * 1024;

export interface SmallDisk {
  /** Where it is for programs that run in its namespace. */
  readonly path: string;
  /** Where it is for the test. */
  readonly inside: string;
  /** Runs a program in its namespace. */
  readonly wrapper: readonly string[];
  /** Fills it to the last byte; returns what frees the space again. */
  fill(): () => void;
  /** Resolves when every process in it has ended, and keeps no removed file any more. */
  left(): Promise<unknown>;
  remove(): Promise<void>;
}

/** Whether such a disk can be made here. */
export function canMount(): boolean {
  return hasTool('unshare', [UNSHARE, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']);
}

export async function smallDisk(sizeMib: number): Promise<SmallDisk> {
  const folder = await tempFolder('disk');
  const script = `mount -t tmpfs -o size=${sizeMib}m tmpfs "$0" && echo mounted && exec sleep infinity`;
  const holder = spawn('unshare', [UNSHARE, 'sh', '-c', script, folder.path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(holder.stdout, 'data');
  const pid = String(holder.pid);
  const inside = path.join('/proc', pid, 'root', folder.path);
  const user = UNSHARE === '-m' ? [] : ['-U', '--preserve-credentials'];
  let fillers = 0;
  return {
    path: folder.path,
    inside,
    wrapper: ['nsenter', '-t', pid, ...user, '-m', '--'],
    fill() {
      fillers += 1;
      return fill(inside, `filler${fillers}`);
    },
    left: () =>
      eventually(
        () => Promise.resolve(processesIn(namespaceOf(pid))),
        (pids) => pids.length === 1,
      ),
    async remove() {
      const ended = once(holder, 'exit');
      holder.kill('SIGKILL');
      await ended;
      await folder.remove();
    },
  };
}

function processesIn(namespace: string | undefined): readonly string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && namespaceOf(name) === namespace);
}

/** The mount namespace of a process; undefined: it has ended, or is another user's. */
function namespaceOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}

function fill(folder: string, name: string): () => void {
  const file = path.join(folder, name);
  const descriptor = openSync(file, 'w');
  try {
    for (const size of [MIB, 4096, 1]) fillBy(descriptor, Buffer.alloc(size, 1));
  } finally {
    closeSync(descriptor);
  }
  const left = statfsSync(folder).bavail;
  if (left > 0) throw new Error(`expected a full disk, there are ${left} blocks left`);
  return () => rmSync(file);
}

function fillBy(descriptor: number, part: Buffer): void {
  try {
    for (;;) if (writeSync(descriptor, part) < part.length) return;
  } catch (error) {
    if (errnoOf(error) !== 'ENOSPC') throw error;
  }
}
