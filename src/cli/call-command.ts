/** `oriel call SERVICE/METHOD JSON`: any RPC by its name, from the .proto files of the package. */
import { text as readText } from 'node:stream/consumers';
import { Client, Metadata, type StatusObject } from '@grpc/grpc-js';
import type { Command } from 'commander';
import { isReason } from '../base/error-table.js';
import { ServiceError } from '../base/service-error.js';
import { CALL_DEADLINE_MS, CHANNEL_OPTIONS, credentialsOf, statusError, targetOf } from '../rpc/node-client.js';
import { addressOf, type CommonOptions, nodeCommand, wholeNumber } from './command.js';
import { withAdvice } from './connection-advice.js';
import type { CliDeps } from './deps.js';
import { reasonOf } from './error-info.js';
import { write } from './output.js';
import type { Types } from './proto-fields.js';
import type { AnyMethod } from './proto-methods.js';

interface CallOptions extends CommonOptions {
  readonly list?: boolean;
  readonly timeout?: number;
}

/** Adds `call`. */
export function addCall(program: Command, deps: CliDeps): void {
  nodeCommand(program, 'call [method] [json]', 'call any RPC by its name and print the answer as JSON')
    .option('--list', 'list the RPCs')
    .option('--timeout <seconds>', 'give up after this long (default: 30, streams: never)', wholeNumber)
    .addHelpText('after', CALL_HELP)
    .action(async (name: string | undefined, json: string | undefined, options: CallOptions) => {
      // The loader of .proto files costs 100 ms, which no other command should pay.
      const { findMethod, loadProtocol } = await import('./proto-methods.js');
      const { methods, types } = loadProtocol(deps.protoDir);
      if (options.list === true || name === undefined) {
        await write(deps.stdout, [...methods.keys()].map((known) => `${known}\n`).join(''));
        return;
      }
      const method = findMethod(methods, name);
      const input = json === '-' ? await readText(deps.stdin) : (json ?? (method.requestStream ? '' : '{}'));
      await call(method, await requestsOf(types, method, input), options, deps);
    });
}

const CALL_HELP = `
The request is the JSON form of the message, with the field names of the .proto file; - reads it from the standard
input. Where the RPC takes a stream, the request is one JSON object a line. Streamed answers are one object a line.

Examples:
  oriel call --list
  oriel call GetNodeStatus
  oriel call CatalogService/ListImages '{"filter": {"names": ["cirros"]}}'
  oriel call oriel.catalog.v1.CatalogService/GetImage '{"id": "…"}' --node unix:./data/oriel.sock`;

async function requestsOf(types: Types, method: AnyMethod, input: string): Promise<readonly object[]> {
  const { messageOf } = await import('./proto-methods.js');
  if (!method.requestStream) return [messageOf(types, method.requestType, input)];
  const lines = input.split('\n').filter((line) => line.trim() !== '');
  return lines.map((line) => messageOf(types, method.requestType, line));
}

async function call(
  method: AnyMethod,
  requests: readonly object[],
  options: CallOptions,
  deps: CliDeps,
): Promise<void> {
  const address = addressOf(options, deps);
  const client = new Client(targetOf(address), credentialsOf(address), CHANNEL_OPTIONS);
  const metadata = new Metadata();
  if (address.token !== undefined) metadata.set('x-auth-token', address.token);
  const streams = method.requestStream || method.responseStream;
  const timeoutMs = options.timeout === undefined ? (streams ? null : CALL_DEADLINE_MS) : options.timeout * 1000;
  const callOptions = timeoutMs === null ? {} : { deadline: Date.now() + timeoutMs };
  const { path, requestSerialize, responseDeserialize } = method;
  // A stream in both directions is the general case: on the wire a single message is a stream of one.
  const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata, callOptions);
  const cancel = (): void => stream.cancel();
  deps.signal.addEventListener('abort', cancel);
  try {
    for (const request of requests) stream.write(request);
    stream.end();
    for await (const message of readAnswers(stream)) {
      await write(deps.stdout, `${JSON.stringify(message, null, method.responseStream ? 0 : 2)}\n`);
    }
  } catch (error) {
    throw withAdvice(isStatus(error) ? failureOf(error) : error, address);
  } finally {
    deps.signal.removeEventListener('abort', cancel);
    client.close();
  }
}

async function* readAnswers(stream: AsyncIterable<unknown>): AsyncGenerator {
  for await (const message of stream) yield message;
}

function failureOf(error: StatusObject): ServiceError {
  const [status] = error.metadata.get('grpc-status-details-bin');
  const reason = status instanceof Uint8Array ? reasonOf(status) : undefined;
  if (reason !== undefined && isReason(reason)) return new ServiceError(reason, error.details, { cause: error });
  return statusError({ code: error.code, details: error.details, cause: error });
}

function isStatus(error: unknown): error is StatusObject {
  return error instanceof Error && 'code' in error && 'details' in error && 'metadata' in error;
}
