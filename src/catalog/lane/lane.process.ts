/**
 * The process of the write lane: the only writer of the catalog's file. It is a process of its own because an fsync
 * behind writeback blocks its thread for long, and because a killed writer harms no reader (reference libsql.md).
 */
import '../../hostfs/readable-stacks.js';
import { ServiceError } from '../../base/service-error.js';
import { Connection, integerAt } from '../connection.js';
import { migrate } from '../migrate.js';
import { MIGRATIONS } from '../migrations/index.js';
import { NOTE_EPOCH, PRUNE_OPERATIONS } from '../write/operation-upkeep.js';
import { commitGroup } from './commit-group.js';
import { isLaneRequest, type LaneReport, type LaneSettings } from './lane-protocol.js';

const PRUNE_CHUNK = 500;

function main(): void {
  // The node decides when the lane ends: after its last write, also when both get the terminal's signal.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  const settings = parseSettings(process.argv[2] ?? '');
  let connection: Connection;
  try {
    connection = new Connection(settings.path, 'writer');
    migrate(connection, MIGRATIONS, Date.now());
    connection.run(NOTE_EPOCH);
  } catch (error) {
    const reason = error instanceof ServiceError ? error.reason : 'UNAVAILABLE';
    report({ kind: 'not-opened', reason, message: error instanceof Error ? error.message : String(error) });
    if (process.connected) process.disconnect();
    return;
  }
  serve(connection, settings);
}

function serve(connection: Connection, settings: LaneSettings): void {
  let frame = metaOf(connection, 'frame');
  let open = true;
  const prune = (): void => {
    // One chunk between two groups.
    if (open && pruneChunk(connection, Date.now() - settings.retentionMs)) setImmediate(prune);
  };
  const pruning = setInterval(prune, settings.pruneEveryMs);
  const finish = (): void => {
    if (!open) return;
    open = false;
    clearInterval(pruning);
    attempt('checkpoint', () => connection.exec('pragma wal_checkpoint(truncate)'));
    connection.close();
    if (process.connected) process.disconnect();
  };
  process.on('message', (message) => {
    if (!open || !isLaneRequest(message)) return;
    if (message.kind === 'close') {
      finish();
      return;
    }
    const answers = commitGroup(connection, message.operations, frame + 1);
    if (answers.some((answer) => answer.kind === 'applied')) frame += 1;
    report({ kind: 'answers', answers });
  });
  process.on('disconnect', finish);
  // The node may have ended before anything here listened.
  if (!process.connected) {
    finish();
    return;
  }
  report({ kind: 'ready', epoch: metaOf(connection, 'epoch'), frame });
}

/** Forgets the oldest operations; tells whether there may be more to forget. */
function pruneChunk(connection: Connection, beforeMs: number): boolean {
  let removed = 0;
  attempt('prune', () => {
    removed = connection.run(PRUNE_OPERATIONS, beforeMs, PRUNE_CHUNK);
  });
  return removed === PRUNE_CHUNK;
}

/** Upkeep that may fail for a while, on a full disk for one, and is done again later. */
function attempt(what: string, upkeep: () => void): void {
  try {
    upkeep();
  } catch (error) {
    report({ kind: 'trouble', message: `${what}: ${error instanceof Error ? error.message : String(error)}` });
  }
}

function metaOf(connection: Connection, name: string): number {
  const row = connection.get('select value from meta where name = ?', name);
  if (row === undefined) throw new ServiceError('DATA_CORRUPT', `catalog: the file has no ${name}`);
  return integerAt(row, 0);
}

function report(message: LaneReport): void {
  // Without a channel the node is gone, and `disconnect` ends this process.
  if (process.connected) process.send?.(message);
}

function parseSettings(text: string): LaneSettings {
  const value: unknown = JSON.parse(text);
  if (
    typeof value === 'object' &&
    value !== null &&
    'path' in value &&
    'retentionMs' in value &&
    'pruneEveryMs' in value &&
    typeof value.path === 'string' &&
    typeof value.retentionMs === 'number' &&
    typeof value.pruneEveryMs === 'number'
  ) {
    return { path: value.path, retentionMs: value.retentionMs, pruneEveryMs: value.pruneEveryMs };
  }
  throw new Error(`lane: expected settings as JSON, got ${text}`);
}

main();
