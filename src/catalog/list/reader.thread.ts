/** The thread of long lists. Its one connection must be closed by a task before the thread ends: see reader-pool. */
import '../../hostfs/readable-stacks.js';
import { Connection } from '../connection.js';
import { findImages, type FindRequest } from './find-images.js';
import type { Found } from './search.js';

export type ReaderTask =
  | { readonly kind: 'find'; readonly path: string; readonly request: FindRequest }
  | { readonly kind: 'close' };

let connection: Connection | undefined;

export default function run(task: ReaderTask): readonly Found[] {
  if (task.kind === 'close') {
    connection?.close();
    connection = undefined;
    return [];
  }
  connection ??= new Connection(task.path, 'reader');
  connection.exec('begin');
  try {
    return findImages(connection, task.request) ?? [];
  } finally {
    connection.exec('commit');
  }
}
