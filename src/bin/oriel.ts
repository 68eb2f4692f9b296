#!/usr/bin/env node
import '../hostfs/readable-stacks.js';
import { Command } from 'commander';
import { ServiceError } from '../base/service-error.js';
import { addRoles, ROLES } from './role-commands.js';

const argv = process.argv.slice(2);
// A role loads what it needs and no command line, for a short start; its own signals stop it.
if (ROLES.some((role) => role === argv[0]) && !argv.includes('--help') && !argv.includes('-h')) {
  await runRole();
} else {
  await runCommand();
}

async function runRole(): Promise<void> {
  // 2: the command line is wrong, as for every other command.
  const program = new Command('oriel').exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));
  addRoles(program, process.env);
  try {
    await program.parseAsync(argv, { from: 'user' });
    process.exit();
  } catch (error) {
    const { describeError, EXIT, exitCodeOf } = await import('../cli/run-cli.js');
    process.stderr.write(`oriel: ${describeError(error)}\n`);
    // The folder is another's, or this authority was replaced: what starts the role again and again must be told to stop.
    const conflict = error instanceof ServiceError && error.reason === 'STATE_CONFLICT';
    process.exit(conflict ? EXIT.conflict : exitCodeOf(error));
  }
}

async function runCommand(): Promise<void> {
  const [{ buildCli }, { runCli }, { cliDeps }] = await Promise.all([
    import('../cli/build-cli.js'),
    import('../cli/run-cli.js'),
    import('./cli-deps.js'),
  ]);
  // Warnings about the program's own code are no news to who runs a command: gRPC's of TLS to an IP address.
  process.noDeprecation = true;
  const interrupted = new AbortController();
  // A command is cancelled and tidies up. The reason stays an AbortError, by which `runCli` knows an interruption.
  process.once('SIGINT', () => interrupted.abort());
  const deps = cliDeps(process.env, interrupted.signal);
  const program = buildCli(deps);
  addRoles(program, deps.env);
  process.exitCode = await runCli(program, argv, deps);
  // What a command leaves open, such as a channel that is still closing, does not keep it from ending.
  process.exit();
}
