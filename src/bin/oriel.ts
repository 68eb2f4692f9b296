#!/usr/bin/env node
import { buildCli } from '../cli/build-cli.js';
import { runCli } from '../cli/run-cli.js';
import { cliDeps } from './cli-deps.js';
import { addRoles } from './role-commands.js';

const argv = process.argv.slice(2);
const interrupted = new AbortController();
// A role stops by its own rules; a command is cancelled and tidies up.
process.once('SIGINT', () => interrupted.abort(new Error('interrupted')));
const deps = cliDeps(process.env, interrupted.signal);
const program = buildCli(deps);
addRoles(program, deps.env);
process.exitCode = await runCli(program, argv, deps);
// What a command leaves open, such as a channel that is still closing, does not keep it from ending.
process.exit();
