import { ServiceError } from '../base/service-error.js';
import type { Exchange } from './exchange.js';
import { bodyChunks } from './request-body.js';

export interface JsonLimits {
  /** The longest body read. */
  readonly maxBytes: number;
  readonly idleMs: number;
}

/**
 * Reads a JSON body whatever its Content-Type says (reference §2.1 "JSON content-type"). INVALID_ARGUMENT: no body, not
 * UTF-8, not JSON. LIMIT_EXCEEDED: longer than the limit, told without reading it all.
 */
export async function readJson(exchange: Exchange, limits: JsonLimits): Promise<unknown> {
  const length = Number(exchange.request.headers['content-length'] ?? 0);
  if (length > limits.maxBytes) throw tooLong(limits.maxBytes);
  if (!exchange.declaresBody) throw new ServiceError('INVALID_ARGUMENT', 'expected a JSON body, got none');
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of bodyChunks(exchange, limits)) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > limits.maxBytes) throw tooLong(limits.maxBytes);
    chunks.push(chunk);
  }
  if (sizeBytes === 0) throw new ServiceError('INVALID_ARGUMENT', 'expected a JSON body, got none');
  return parseJson(Buffer.concat(chunks));
}

function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new ServiceError('INVALID_ARGUMENT', 'expected a JSON body in UTF-8', { cause });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    const detail = cause instanceof Error ? `: ${cause.message}` : '';
    throw new ServiceError('INVALID_ARGUMENT', `expected a JSON body${detail}`, { cause });
  }
}

function tooLong(maxBytes: number): ServiceError {
  return new ServiceError('LIMIT_EXCEEDED', `expected a JSON body of at most ${maxBytes} bytes`);
}

/** Tells whether a JSON value is an object. */
export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Names the kind of a JSON value, for messages. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  return value === undefined ? 'nothing' : `a ${typeof value}`;
}
