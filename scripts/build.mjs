/**
 * Compiles everything and removes from dist what has no source any more, so that a deleted test does not go on running.
 * The stamp's time is that of the start: a file edited while tsc runs counts as newer.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';

const root = path.resolve(import.meta.dirname, '..');
const dist = path.join(root, 'dist');

function removeOrphans(folder) {
  if (!existsSync(path.join(dist, folder))) return;
  for (const name of readdirSync(path.join(dist, folder), { recursive: true })) {
    const output = path.join(folder, name);
    const source = output.replace(/\.js(\.map)?$/, '.ts');
    if (source !== output && !existsSync(path.join(root, source))) rmSync(path.join(dist, output));
  }
}

mkdirSync(dist, { recursive: true });
const stamp = path.join(dist, '.built');
const pending = path.join(dist, `.built.${process.pid}`);
writeFileSync(pending, '');
const result = spawnSync(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), '-p', root], {
  cwd: root,
  stdio: 'inherit',
});
if (result.status !== 0) {
  rmSync(pending);
  process.exit(result.status ?? 1);
}
for (const folder of ['src', 'test', 'bench', 'scripts']) removeOrphans(folder);
renameSync(pending, stamp);
