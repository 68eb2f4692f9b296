/** The options by key (`node.http`), read from the schema. */
import { type TObject, type TSchema, TypeGuard } from '@sinclair/typebox';
import { OptionsSchema, StoreSchema } from './schema.js';

/** Every option outside `[stores]` by its key, in the order of the schema. */
export const OPTIONS: ReadonlyMap<string, TSchema> = new Map(leaves(OptionsSchema, ''));
/** The options of one `[stores.<name>]` table. */
export const STORE_OPTIONS: ReadonlyMap<string, TSchema> = new Map(leaves(StoreSchema, ''));

/** The environment variable of an option: `ORIEL_AUTH_KEYSTONE_URL` of `auth.keystone.url`. */
export function variableOf(key: string): string {
  return `ORIEL_${key.replaceAll('.', '_').toUpperCase()}`;
}

/** The option's default. */
export function defaultOf(schema: TSchema): unknown {
  return schema.default;
}

function* leaves(schema: TObject, prefix: string): Generator<[string, TSchema]> {
  for (const [name, child] of Object.entries(schema.properties)) {
    if (TypeGuard.IsObject(child)) yield* leaves(child, `${prefix}${name}.`);
    else yield [`${prefix}${name}`, child];
  }
}
