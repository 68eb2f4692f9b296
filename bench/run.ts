/**
 * `npm run bench [NAME…]` runs the named comparisons, or all. Each is a program of its own in this folder, prints a table
 * and writes bench/results/NAME.json.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

const COMPARISONS = [
  'start',
  'api',
  'transfer',
  'memory',
  'catalog-scale',
  'primary',
  'replica',
  'edge',
  'stores',
  'materialise',
] as const;

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !COMPARISONS.some((known) => known === name));
if (unknown.length > 0) {
  console.error(`no such comparison: ${unknown.join(', ')}; there are: ${COMPARISONS.join(', ')}`);
  process.exit(2);
}
const failed: string[] = [];
for (const name of asked.length > 0 ? asked : COMPARISONS) {
  const program = path.join(import.meta.dirname, `${name}.js`);
  if (!existsSync(program)) throw new Error(`${program} is not built`);
  console.log(`\n# ${name}`);
  if (spawnSync(process.execPath, ['--enable-source-maps', program], { stdio: 'inherit' }).status !== 0)
    failed.push(name);
}
if (failed.length > 0) {
  console.error(`failed: ${failed.join(', ')}`);
  process.exitCode = 1;
}
