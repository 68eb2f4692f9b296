/** What all commands share: the options of the connection, and the context that an action works with. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { connect, type NodeAddress, type NodeClient } from '../rpc/node-client.js';
import { withAdvice } from './connection-advice.js';
import type { CliDeps } from './deps.js';
import { write, writeJson } from './output.js';

/** The options that every command over gRPC has. */
export interface CommonOptions {
  readonly node?: string;
  readonly token?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly json?: boolean;
}

export const DEFAULT_NODE = '127.0.0.1:9293';

/** Adds a command over gRPC below `parent`. */
export function nodeCommand(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .option('--node <address>', `HOST:PORT or unix:PATH (env ORIEL_NODE; default ${DEFAULT_NODE})`)
    .option('--token <token>', 'token that says who you are (env ORIEL_TOKEN)')
    .option('--ca <file>', 'CA of the node (PEM); turns TLS on')
    .option('--cert <file>', 'client certificate (PEM), which makes you a host')
    .option('--key <file>', 'key of the client certificate (PEM)')
    .option('--json', 'print JSON');
}

/** Where the command line wants to go: flags before the environment before the default. */
export function addressOf(options: CommonOptions, deps: CliDeps): NodeAddress {
  return {
    node: options.node ?? given(deps.env['ORIEL_NODE']) ?? DEFAULT_NODE,
    token: options.token ?? given(deps.env['ORIEL_TOKEN']),
    ca: options.ca,
    cert: options.cert,
    key: options.key,
  };
}

/** Runs an action with a client and closes it. */
export async function withClient<T>(
  options: CommonOptions,
  deps: CliDeps,
  action: (client: NodeClient) => Promise<T>,
): Promise<T> {
  const address = addressOf(options, deps);
  const client = connect(address, deps.signal);
  try {
    return await action(client);
  } catch (error) {
    throw withAdvice(error, address);
  } finally {
    client.close();
  }
}

/** Writes the result: JSON when asked for, else the text. */
export async function report(deps: CliDeps, options: CommonOptions, result: Result): Promise<void> {
  if (options.json === true) await writeJson(deps.stdout, result.json);
  else await write(deps.stdout, result.text);
}

export interface Result {
  readonly json: unknown;
  readonly text: string;
}

/** Parses a whole number of an option. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('expected a whole number.');
  return Number(text);
}

/** Collects an option that can be given several times. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

/** Collects `K=V` options; the value may hold `=` and be empty. */
export function collectPairs(
  text: string,
  before: ReadonlyMap<string, string> = new Map(),
): ReadonlyMap<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('expected KEY=VALUE.');
  return new Map([...before, [text.slice(0, at), text.slice(at + 1)]]);
}

/** An option that takes one of a few words. */
export function wordOption(flags: string, description: string, words: readonly string[]): Option {
  return new Option(flags, description).choices(words);
}

function given(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}
