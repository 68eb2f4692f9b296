/** The RPCs of the package's .proto files, by name. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadSync, type MethodDefinition } from '@grpc/proto-loader';
import { ServiceError, usageError } from '../base/service-error.js';
import { checkMessage, type Types } from './proto-fields.js';

export type AnyMethod = MethodDefinition<object, object>;
type MessageType = AnyMethod['requestType'];

/** What the .proto files define. */
export interface Protocol {
  /** By full name: `oriel.catalog.v1.CatalogService/ListImages`. */
  readonly methods: ReadonlyMap<string, AnyMethod>;
  readonly types: Types;
}

/** Loads all methods and types. */
export function loadProtocol(protoDir: string): Protocol {
  const files = readdirSync(protoDir, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.proto'));
  const definitions = loadSync(
    files.map((file) => join(protoDir, file)),
    // 64-bit numbers and enums as text and bytes as base64, as the JSON mapping of proto3 has them.
    {
      includeDirs: [protoDir],
      keepCase: true,
      longs: String,
      enums: String,
      bytes: String,
      defaults: true,
      oneofs: true,
    },
  );
  const methods = new Map<string, AnyMethod>();
  const types = new Map<string, object>();
  for (const [service, definition] of Object.entries(definitions)) {
    if ('format' in definition) {
      if (typeof definition.type === 'object') types.set(service, definition.type);
      continue;
    }
    for (const [name, method] of Object.entries(definition)) {
      if (isMethod(method)) methods.set(`${service}/${name}`, method);
    }
  }
  return { methods, types };
}

/**
 * Returns the method that is meant: by full name, or by the end of one (`CatalogService/ListImages`, `ListImages`), with a
 * dot or a slash before the method. INVALID_ARGUMENT: none or several; the message lists them.
 */
export function findMethod(methods: ReadonlyMap<string, AnyMethod>, given: string): AnyMethod {
  const wanted = given
    .replace(/^\//, '')
    .replace(/[/.]([^/.]+)$/, '/$1')
    .toLowerCase();
  const found = [...methods].filter(([name]) => {
    const known = name.toLowerCase();
    return known === wanted || known.endsWith(`.${wanted}`) || known.endsWith(`/${wanted}`);
  });
  const [only] = found;
  if (only !== undefined && found.length === 1) return only[1];
  const names = (found.length > 1 ? found.map(([name]) => name) : [...methods.keys()]).join('\n  ');
  const what = found.length > 1 ? 'several RPCs have' : 'no RPC has';
  throw new ServiceError('INVALID_ARGUMENT', `${what} the name ${JSON.stringify(given)}; expected one of\n  ${names}`);
}

/** Parses JSON as a message of the type. What the type does not have, or has otherwise, is an error, not dropped. */
export function messageOf(types: Types, { type }: MessageType, json: string): object {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch (cause) {
    throw usageError(`the request is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  return checkMessage(types, type, parsed);
}

function isMethod(value: unknown): value is AnyMethod {
  return typeof value === 'object' && value !== null && 'requestSerialize' in value;
}
