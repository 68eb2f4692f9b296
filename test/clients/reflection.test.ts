/** gRPC reflection, asked in bytes: a client of it makes its questions without our generated code. */
import { createChannel, createClient } from 'nice-grpc';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ReflectionDefinition } from '../../src/services/reflection.js';
import { startNode, type TestNode } from '../support/node.js';

// grpc/reflection/v1/reflection.proto, ServerReflectionRequest: file_containing_symbol = 4, list_services = 7.
const FILE_CONTAINING_SYMBOL = 4;
const LIST_SERVICES = 7;

let node: TestNode;

beforeAll(async () => {
  node = await startNode();
});
afterAll(() => node.stop());

function question(field: number, text: string): Uint8Array {
  return Buffer.concat([Buffer.from([(field << 3) | 2, text.length]), Buffer.from(text)]);
}

async function ask(...questions: readonly Uint8Array[]): Promise<string[]> {
  const channel = createChannel(node.grpcAddress);
  try {
    const client = createClient(ReflectionDefinition, channel);
    const answers: string[] = [];
    // eslint-disable-next-line @typescript-eslint/require-await -- the client takes an async iterable
    const asked = async function* () {
      yield* questions;
    };
    for await (const answer of client.serverReflectionInfo(asked()))
      answers.push(Buffer.from(answer).toString('latin1'));
    return answers;
  } finally {
    channel.close();
  }
}

it('lists our services and gives the file of a symbol, on one stream', async () => {
  const symbol = 'oriel.data.v1.DataService';
  const [services, file] = await ask(question(LIST_SERVICES, ''), question(FILE_CONTAINING_SYMBOL, symbol));
  for (const area of ['catalog.v1.Catalog', 'data.v1.Data', 'node.v1.Node'])
    expect(services).toContain(`oriel.${area}Service`);
  expect(file).toContain('oriel/data/v1/data_service.proto');
});

it('answers NOT_FOUND in the stream for a symbol that is not there', async () => {
  const [answer] = await ask(question(FILE_CONTAINING_SYMBOL, 'oriel.Nothing'));
  expect(answer).toContain('Symbol not found: oriel.Nothing');
});
