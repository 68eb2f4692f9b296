import { type ChildProcess, fork } from 'node:child_process';
import { messageOf } from './sync-failure.js';

/**
 * `damaged`: SQLite says so, `problem` is what it found first. `not-checked`: the check could not be made, or was stopped;
 * that says nothing of the database.
 */
export type CheckResult =
  | { readonly kind: 'sound' }
  | { readonly kind: 'damaged' | 'not-checked'; readonly problem: string };

/** Looks at every page of the database, in a process of its own. An aborted check resolves too. */
export async function checkCopy(path: string, signal: AbortSignal): Promise<CheckResult> {
  if (signal.aborted) return notChecked('the check was stopped');
  let child: ChildProcess;
  try {
    child = fork(new URL('./check.process.js', import.meta.url), [path], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: { RUST_LOG: 'off' },
    });
  } catch (error) {
    // Some failures to start a process are thrown (ENOMEM), some are events.
    return notChecked(messageOf(error));
  }
  return await answerOf(child, signal);
}

async function answerOf(child: ChildProcess, signal: AbortSignal): Promise<CheckResult> {
  return await new Promise((resolve) => {
    let answer: CheckResult | undefined;
    const stop = (): void => {
      child.kill('SIGKILL');
    };
    const done = (how: string): void => {
      signal.removeEventListener('abort', stop);
      resolve(answer ?? notChecked(`the check ended without an answer: ${how}`));
    };
    signal.addEventListener('abort', stop);
    child.on('message', (message) => {
      if (isCheckResult(message)) answer = message;
      stop();
    });
    child.once('exit', (code, killedBy) => done(killedBy ?? `exit code ${code ?? 'unknown'}`));
    child.on('error', (error) => {
      if (child.pid === undefined) done(error.message);
    });
  });
}

function notChecked(problem: string): CheckResult {
  return { kind: 'not-checked', problem };
}

/** The channel carries nothing else. */
function isCheckResult(message: unknown): message is CheckResult {
  return typeof message === 'object' && message !== null && 'kind' in message;
}
