/** The command line: everything but the roles that run a service, which the program's entry adds. */
import { Command } from 'commander';
import { addCall } from './call-command.js';
import { addCatalog } from './catalog-commands.js';
import type { CliDeps } from './deps.js';
import { addEvents } from './event-commands.js';
import { addCreate, addShowUpdateDelete } from './image-commands.js';
import { addFetch } from './fetch-command.js';
import { addActivation, addTags, addTransfers } from './image-data-commands.js';
import { addCare } from './image-care-commands.js';
import { addList } from './image-list.js';
import { addConfig, addToken } from './local-commands.js';
import { addLocations } from './location-commands.js';
import { addMembers } from './member-commands.js';
import { addNode } from './node-commands.js';

/** Makes the program. It throws instead of ending the process; `runCli` turns what it throws into an exit code. */
export function buildCli(deps: CliDeps): Command {
  const program = new Command('oriel')
    .description('Virtual-machine image service for clouds spread over many sites')
    .version(deps.version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void deps.stdout.write(text),
      writeErr: (text) => void deps.stderr.write(text),
    })
    .showHelpAfterError('(add --help for the options)')
    .addHelpText('after', GENERAL_HELP);
  const images = program.command('image').description('images: their metadata, data, tags and members');
  addCreate(images, deps);
  addList(images, deps);
  addShowUpdateDelete(images, deps);
  addTransfers(images, deps);
  addFetch(images, deps);
  addLocations(images, deps);
  addMembers(images, deps);
  addTags(images, deps);
  addActivation(images, deps);
  addCare(images, deps);
  addNode(program, deps);
  addCatalog(program, deps);
  addEvents(program, deps);
  addToken(program, deps);
  addConfig(program, deps);
  addCall(program, deps);
  return program;
}

const GENERAL_HELP = `
Commands that talk to a node take --node HOST:PORT or --node unix:PATH (env ORIEL_NODE) and --token (env ORIEL_TOKEN).
Images are named by id, or by name where only one has it. --json prints JSON.

Exit codes: 0 done, 1 failed, 2 wrong command line, 130 interrupted.

Examples:
  oriel serve --data ./data
  oriel image create cirros --file cirros.qcow2 --disk-format qcow2
  oriel image list --json
  oriel image download cirros ./cirros.qcow2
  oriel call CatalogService/ListImages '{"page_size": 5}'`;
