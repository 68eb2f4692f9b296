/**
 * The whole static gate (`npm run check`). Steps run two at a time, the longest first; each prints its time, and its
 * output only when it fails. `npm run check lint knip` runs the named steps alone.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';

const root = path.resolve(import.meta.dirname, '..');
const bin = (name) => path.join(root, 'node_modules/.bin', name);
const scratch = mkdtempSync(path.join(os.tmpdir(), 'oriel-check-'));

/** Each step is a list of commands; the first that fails ends it. A function may prepare, and may return why to skip. */
const STEPS = {
  lint: [[bin('eslint'), '--max-warnings=0', '.']],
  tsc: [[process.execPath, path.join(root, 'scripts/build.mjs')]],
  arrows: [[bin('depcruise'), '--config', '.dependency-cruiser.cjs', 'src', 'test', 'bench', 'scripts']],
  knip: [[bin('knip'), '--no-progress']],
  gen: [
    [process.execPath, 'scripts/gen.mjs', path.join(scratch, 'gen')],
    ['diff', '-r', path.join(scratch, 'gen'), 'src/gen'],
  ],
  breaking: breakingCommands,
  proto: [
    [bin('buf'), 'lint'],
    [bin('buf'), 'format', '--diff', '--exit-code'],
  ],
  format: [[bin('biome'), 'format']],
};

function git(...args) {
  const result = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  return result.status === 0 ? result.stdout.trim() : undefined;
}

/** The wire contract is compared with the last release, else with the point where this branch left main. */
function breakingCommands() {
  const release = git('describe', '--tags', '--abbrev=0', '--match', 'v[0-9]*');
  const main = ['origin/main', 'main'].find((name) => git('rev-parse', '--verify', '--quiet', name) !== undefined);
  const base = release ?? (main === undefined ? undefined : git('merge-base', main, 'HEAD'));
  if (base === undefined) return 'no earlier commit to compare with';
  if (git('cat-file', '-e', `${base}:buf.yaml`) === undefined) return `${base} has no protos`;
  const archive = path.join(scratch, 'base.tar');
  if (git('archive', `--output=${archive}`, base, 'buf.yaml', 'proto') === undefined)
    return `${base} is not in this clone`;
  return [[bin('buf'), 'breaking', '--against', archive]];
}

/** Runs one command; resolves to its exit status and everything it wrote. */
function execute([command, ...args]) {
  return new Promise((resolve) => {
    const output = [];
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, FORCE_COLOR: '0' },
    });
    child.stdout.on('data', (data) => output.push(data));
    child.stderr.on('data', (data) => output.push(data));
    child.on('error', (error) => resolve({ ok: false, text: String(error) }));
    child.on('close', (code) => resolve({ ok: code === 0, text: Buffer.concat(output).toString() }));
  });
}

async function runStep(name) {
  const startMs = Date.now();
  const commands = typeof STEPS[name] === 'function' ? STEPS[name]() : STEPS[name];
  const seconds = () => `${((Date.now() - startMs) / 1000).toFixed(1)} s`;
  if (typeof commands === 'string') {
    console.log(`skip  ${name.padEnd(9)} ${commands}`);
    return { name, outcome: 'skipped' };
  }
  for (const command of commands) {
    const { ok, text } = await execute(command);
    if (ok) continue;
    console.log(`FAIL  ${name.padEnd(9)} ${seconds()}\n${text.trimEnd()}\n`);
    return { name, outcome: 'failed' };
  }
  console.log(`ok    ${name.padEnd(9)} ${seconds()}`);
  return { name, outcome: 'passed' };
}

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in STEPS));
if (unknown.length > 0) {
  console.error(`no such step: ${unknown.join(', ')}; there are: ${Object.keys(STEPS).join(', ')}`);
  process.exit(2);
}
const queue = asked.length > 0 ? [...asked] : Object.keys(STEPS);
const results = [];
try {
  const lane = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) results.push(await runStep(name));
  };
  await Promise.all([lane(), lane()]);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
const count = (outcome) => results.filter((result) => result.outcome === outcome).length;
const report = { passed: count('passed'), failed: count('failed'), skipped: count('skipped') };
// scripts/test adds these to its own count.
if (process.env.ORIEL_CHECK_REPORT) writeFileSync(process.env.ORIEL_CHECK_REPORT, JSON.stringify(report));
console.log(`check: ${report.passed} passed, ${report.failed} failed`);
process.exitCode = report.failed === 0 ? 0 : 1;
