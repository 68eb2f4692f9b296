import type { CallContext } from 'nice-grpc';
import { ServerReflection, ServerReflectionService } from 'nice-grpc-server-reflection';
import { DESCRIPTOR_SET } from '../gen/descriptor-set.js';

/** Answers encoded questions of reflection about the named services. */
export type ReflectionAnswers = (
  questions: AsyncIterable<Uint8Array>,
  context: CallContext,
) => AsyncGenerator<Uint8Array>;

/** Reads our descriptors and returns what answers for them. Loaded by reflection.ts when it is asked. */
export function reflectionAnswers(serviceNames: readonly string[]): ReflectionAnswers {
  const reflection = ServerReflection(DESCRIPTOR_SET, serviceNames);
  const { requestDeserialize, responseSerialize } = ServerReflectionService.serverReflectionInfo;
  return (questions, context) => {
    const decoded = map(questions, (bytes) => requestDeserialize(Buffer.from(bytes)));
    return map(reflection.serverReflectionInfo(decoded, context), responseSerialize);
  };
}

async function* map<From, To>(values: AsyncIterable<From>, change: (value: From) => To): AsyncGenerator<To> {
  for await (const value of values) yield change(value);
}
