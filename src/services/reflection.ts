import type { CallContext } from 'nice-grpc';
import type { ReflectionAnswers } from './reflection-answers.js';

const raw = (bytes: Uint8Array): Uint8Array => bytes;

/** `grpc.reflection.v1.ServerReflection` with its messages left as bytes, so that their package is not needed here. */
export const ReflectionDefinition = {
  serverReflectionInfo: {
    path: '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
    requestStream: true,
    responseStream: true,
    requestSerialize: raw,
    requestDeserialize: raw,
    responseSerialize: raw,
    responseDeserialize: raw,
    options: {},
  },
} as const;

/**
 * Implements reflection for the named services. The package that knows its messages, and our descriptors, are loaded with
 * the first question: half a megabyte of code that few nodes are ever asked for (docs/decisions/0050).
 */
export function reflectionOf(serviceNames: readonly string[]) {
  let loading: Promise<ReflectionAnswers> | undefined;
  return {
    async *serverReflectionInfo(
      questions: AsyncIterable<Uint8Array>,
      context: CallContext,
    ): AsyncGenerator<Uint8Array> {
      const answers = await (loading ??= load(serviceNames));
      yield* answers(questions, context);
    },
  };
}

async function load(serviceNames: readonly string[]): Promise<ReflectionAnswers> {
  // A module of ours, since a bundle's import() of a CommonJS package has no named exports.
  const { reflectionAnswers } = await import('./reflection-answers.js');
  return reflectionAnswers(serviceNames);
}
