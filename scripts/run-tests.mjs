/**
 * Runs the static gate (with --check) and vitest, adds up what passed and failed, and ends with "N passed, N failed".
 * Each step of the gate counts as one test. A suite that breaks before its tests exist counts as one failure.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';

const root = path.resolve(import.meta.dirname, '..');
const split = process.argv.indexOf('--');
const options = process.argv.slice(2, split);
const vitestArgs = process.argv.slice(split + 1);
const scratch = mkdtempSync(path.join(os.tmpdir(), 'oriel-tests-'));
const total = { passed: 0, failed: 0, skipped: 0 };

function run(args, env = {}) {
  return (
    spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } }).status === 0
  );
}

function readReport(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

function staticGate() {
  const file = path.join(scratch, 'check.json');
  const ok = run([path.join(root, 'scripts/check.mjs')], { ORIEL_CHECK_REPORT: file });
  const report = readReport(file);
  if (report !== undefined) {
    total.passed += report.passed;
    total.failed += report.failed;
  } else if (!ok) total.failed += 1;
}

function vitest() {
  const file = path.join(scratch, 'vitest.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const ok = run([path.join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...reporters, ...vitestArgs]);
  const report = readReport(file);
  if (report === undefined) {
    total.failed += 1;
    return;
  }
  total.passed += report.numPassedTests;
  total.skipped += report.numPendingTests + report.numTodoTests;
  const isBroken = (suite) =>
    suite.status === 'failed' && !suite.assertionResults.some((result) => result.status === 'failed');
  const brokenSuites = report.testResults.filter(isBroken);
  const failed = report.numFailedTests + brokenSuites.length;
  // An unhandled error outside any test fails the run without failing a test.
  total.failed += failed === 0 && !ok ? 1 : failed;
}

try {
  if (options.includes('--check')) staticGate();
  vitest();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
if (total.skipped > 0) console.log(`${total.skipped} skipped: a program they need is missing`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
