import { spawn } from 'node:child_process';
import { ORIEL_PROGRAM } from './repository.js';
import { cleanEnvironment } from './tool.js';

export interface CommandOutcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program under test to its end; never rejects for its exit status. */
export async function runOriel(args: readonly string[]): Promise<CommandOutcome> {
  const child = spawn(process.execPath, [ORIEL_PROGRAM, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: cleanEnvironment(),
    timeout: 30_000,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve(status));
  });
  return { code, stdout, stderr };
}
