/** Runs the command line and turns its end into an exit code. */
import { type Command, CommanderError } from 'commander';
import { isUsageError, ServiceError } from '../base/service-error.js';
import { isInterruption } from '../rpc/node-client.js';
import type { OutputStream } from './deps.js';
import { printable } from './output.js';

/**
 * 0: done. 1: it failed. 2: the command line is wrong. 3: a role is not to start as things are, so starting it again does not
 * help. 130: interrupted (as shells say it).
 */
export const EXIT = { ok: 0, failure: 1, usage: 2, conflict: 3, interrupted: 130 } as const;

/**
 * Runs `argv` (without node and script) and returns the exit code; errors are one line on `stderr`. A reader that closes the
 * output early (`| head`) ends the command in silence.
 */
export async function runCli(
  program: Command,
  argv: readonly string[],
  streams: { readonly stdout: OutputStream; readonly stderr: OutputStream },
): Promise<number> {
  const closed = new Promise<number>((resolve) => {
    streams.stdout.once('error', () => resolve(EXIT.failure));
  });
  return Promise.race([run(program, argv, streams.stderr), closed]);
}

async function run(program: Command, argv: readonly string[], stderr: OutputStream): Promise<number> {
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    // Commander has written its message, the help or the version by itself.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (isInterruption(error)) {
      stderr.write('oriel: interrupted\n');
      return EXIT.interrupted;
    }
    stderr.write(`oriel: ${describeError(error)}\n`);
    return exitCodeOf(error);
  }
}

/** The exit code of a command that failed so. */
export function exitCodeOf(error: unknown): number {
  return isUsageError(error) ? EXIT.usage : EXIT.failure;
}

/** The line that tells a user of an error. */
export function describeError(error: unknown): string {
  if (error instanceof ServiceError) return `${printable(error.message, '\n')} (${error.reason})`;
  // The system's own errors say what and where: "ENOENT: no such file or directory, open 'x'".
  if (error instanceof Error && 'code' in error) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
