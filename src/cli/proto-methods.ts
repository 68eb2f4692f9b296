/** The RPCs of the package's .proto files, by name. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadSync, type MethodDefinition } from '@grpc/proto-loader';
import { ServiceError } from '../base/service-error.js';

export type AnyMethod = MethodDefinition<object, object>;
type MessageType = AnyMethod['requestType'];

/** Loads all methods by full name: `oriel.catalog.v1.CatalogService/ListImages`. */
export function loadMethods(protoDir: string): ReadonlyMap<string, AnyMethod> {
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
  for (const [service, definition] of Object.entries(definitions)) {
    if ('format' in definition) continue;
    for (const [name, method] of Object.entries(definition)) {
      if (isMethod(method)) methods.set(`${service}/${name}`, method);
    }
  }
  return methods;
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

/** Parses JSON as a message of the type; fields that the type does not have are errors, not dropped. */
export function messageOf(type: MessageType, json: string): object {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : '';
    throw new ServiceError('INVALID_ARGUMENT', `the request is not JSON: ${why}`, { cause });
  }
  return checkFields(type, parsed);
}

/** Checks a value that was JSON against the fields of the type. */
function checkFields(type: MessageType, value: unknown): object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ServiceError('INVALID_ARGUMENT', 'the request: expected a JSON object');
  }
  const known = fieldNames(type);
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown === undefined) return value;
  const names = known.length === 0 ? 'none' : known.join(', ');
  throw new ServiceError('INVALID_ARGUMENT', `the request has no field ${JSON.stringify(unknown)}; fields: ${names}`);
}

function fieldNames({ type }: MessageType): readonly string[] {
  // A google.protobuf.DescriptorProto; the loader types it as an object.
  const fields: unknown = 'field' in type ? type.field : [];
  if (!Array.isArray(fields)) return [];
  return fields.flatMap((field: unknown) => {
    const named = typeof field === 'object' && field !== null && 'name' in field ? field.name : undefined;
    return typeof named === 'string' ? [named] : [];
  });
}

function isMethod(value: unknown): value is AnyMethod {
  return typeof value === 'object' && value !== null && 'requestSerialize' in value;
}
