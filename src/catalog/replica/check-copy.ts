import { fork } from 'node:child_process';

export interface CheckReport {
  /** What SQLite found first. */
  readonly problem: string | null;
}

/** Resolves to what is wrong with the database, or null. An aborted check resolves too. */
export async function checkCopy(path: string, signal: AbortSignal): Promise<string | null> {
  if (signal.aborted) return 'the check was stopped';
  const child = fork(new URL('./check.process.js', import.meta.url), [path], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: { RUST_LOG: 'off' },
  });
  return await new Promise((resolve) => {
    let answer: string | null = 'the check ended without an answer';
    const stop = (): void => {
      child.kill('SIGKILL');
    };
    const done = (): void => {
      signal.removeEventListener('abort', stop);
      resolve(answer);
    };
    signal.addEventListener('abort', stop);
    child.on('message', (message) => {
      if (isCheckReport(message)) answer = message.problem;
      stop();
    });
    child.once('exit', done);
    child.on('error', (error) => {
      answer = error.message;
      if (child.pid === undefined) done();
    });
  });
}

function isCheckReport(message: unknown): message is CheckReport {
  return (
    typeof message === 'object' &&
    message !== null &&
    'problem' in message &&
    (message.problem === null || typeof message.problem === 'string')
  );
}
