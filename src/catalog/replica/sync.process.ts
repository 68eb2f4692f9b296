/**
 * The process that syncs a replica's file. libSQL's sync blocks the event loop for as long as it takes, has no time-out,
 * and aborts a process that ends a thread of it (reference libsql.md); killing the process that runs it is harmless.
 *
 *   waiting --start--> opening --opened--> idle --interval or demand--> syncing --> idle
 *   opening --failed--> opening again after the interval, or on demand
 *   any --channel closed, parent gone--> killed
 *
 * One process opens one handle: a handle that was closed leaves descriptors and memory behind (measured: 4 and 0.3 MB), one
 * that could not be opened does not. So the node replaces the process where a new handle is wanted.
 */
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { type Client, createClient } from '@libsql/client';
import { ReplicaLock } from './replica-lock.js';
import { messageOf } from './sync-failure.js';
import { isSyncRequest, type SyncReport, type SyncSettings, type SyncStage } from './sync-protocol.js';

/**
 * The pause after a sync that brought something. Each group costs two flushes here, so that what gathers in a whole interval
 * takes another to apply; and where one change came, more follow.
 */
const AFTER_NEWS_MS = 100;

/** The demand that the next sync answers. */
let serial = 0;
let settings: SyncSettings | undefined;
let lock: ReplicaLock | undefined;
let client: Client | undefined;
let closing = false;
let planned = false;
let broughtNews = false;
let timer: NodeJS.Timeout | undefined;

function main(): void {
  // The node decides when it ends, also when both get the terminal's signal.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  process.on('disconnect', die);
  // A blocked loop hears of no closed channel: a thread without libSQL in it looks after the parent.
  new Worker(new URL('./parent-watch.thread.js', import.meta.url), { workerData: Number(process.argv[2]) }).unref();
  process.on('message', (message) => {
    if (!isSyncRequest(message)) return;
    switch (message.kind) {
      case 'start':
        ({ settings, serial } = message);
        plan();
        return;
      case 'sync-now':
        ({ serial } = message);
        plan();
        return;
      case 'close':
        closing = true;
        plan();
        return;
    }
  });
}

/** The demands that arrived while a sync blocked the loop are all read before the next one begins. */
function plan(): void {
  if (planned) return;
  planned = true;
  clearTimeout(timer);
  setImmediate(() => {
    planned = false;
    turn().then(() => {
      if (!planned) timer = setTimeout(plan, pauseMs());
    }, crash);
  });
}

function pauseMs(): number {
  const intervalMs = settings?.syncIntervalMs ?? 0;
  return broughtNews ? Math.min(intervalMs, AFTER_NEWS_MS) : intervalMs;
}

async function turn(): Promise<void> {
  if (closing) {
    client?.close();
    die();
    return;
  }
  if (settings === undefined) return;
  const answered = serial;
  let stage: SyncStage = 'lock';
  broughtNews = false;
  try {
    lock ??= new ReplicaLock(settings.lockPath);
    stage = 'open';
    client ??= open(settings);
    stage = 'sync';
    broughtNews = ((await client.sync())?.frames_synced ?? 0) > 0;
    report({ kind: 'synced', serial: answered });
  } catch (error) {
    report({
      kind: 'failed',
      serial: answered,
      stage,
      message: messageOf(error),
    });
  }
}

function open({ path, syncUrl, authToken }: SyncSettings): Client {
  return createClient({ url: pathToFileURL(path).href, syncUrl, authToken, readYourWrites: false });
}

function report(message: SyncReport): void {
  // Without a channel the node is gone, and `disconnect` ends this process.
  if (process.connected) process.send?.(message);
}

// Not `exit`: it runs the destructors of libSQL's threads, which may hang or abort.
function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

function crash(error: unknown): void {
  process.stderr.write(`${String(error)}\n`);
  die();
}

main();
