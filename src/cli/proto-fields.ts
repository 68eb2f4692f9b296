/** Checks values that were JSON against the descriptors of messages, as the library that encodes them drops what does not fit. */
import { usageError } from '../base/service-error.js';

/** The descriptors (DescriptorProto and EnumDescriptorProto) by full name: `oriel.catalog.v1.ImageFilter`. */
export type Types = ReadonlyMap<string, object>;

interface Field {
  readonly name: string;
  readonly type: string;
  readonly typeName: string;
  readonly isRepeated: boolean;
}

/** Returns the value as a message. A usage error: it does not fit; the message names the field by its path. */
export function checkMessage(types: Types, descriptor: object, value: unknown, path = ''): object {
  if (!isObject(value)) throw wrong(path, 'a JSON object', value);
  const fields = fieldsOf(descriptor);
  for (const [name, given] of Object.entries(value)) {
    const field = fields.find((known) => known.name === name);
    if (field === undefined) {
      const names = fields.length === 0 ? 'none' : fields.map((known) => known.name).join(', ');
      const where = path === '' ? 'the request' : `the request: ${path}`;
      throw usageError(`${where} has no field ${JSON.stringify(name)}; fields: ${names}`);
    }
    // In proto3's JSON null is a field that is not there.
    if (given !== null) checkField(types, { descriptor, field, path: path === '' ? name : `${path}.${name}` }, given);
  }
  return value;
}

interface Place {
  /** The message that has the field. */
  readonly descriptor: object;
  readonly field: Field;
  readonly path: string;
}

function checkField(types: Types, { descriptor, field, path }: Place, value: unknown): void {
  const entry = field.isRepeated ? nestedOf(descriptor, field.typeName) : undefined;
  if (entry !== undefined) {
    if (!isObject(value)) throw wrong(path, 'a JSON object of keys and values', value);
    const valueField = fieldsOf(entry).find(({ name }) => name === 'value');
    if (valueField === undefined) return;
    for (const [key, item] of Object.entries(value))
      checkOne(types, valueField, item, `${path}[${JSON.stringify(key)}]`);
    return;
  }
  if (!field.isRepeated) {
    checkOne(types, field, value, path);
    return;
  }
  if (!Array.isArray(value)) throw wrong(path, 'a JSON array', value);
  for (const [index, item] of value.entries()) checkOne(types, field, item, `${path}[${index}]`);
}

function checkOne(types: Types, { type, typeName }: Field, value: unknown, path: string): void {
  if (type === 'TYPE_MESSAGE') {
    const message = typeOf(types, typeName);
    if (message !== undefined) checkMessage(types, message, value, path);
    return;
  }
  if (type === 'TYPE_ENUM') {
    const words = namesIn(typeOf(types, typeName), 'value');
    if (Number.isInteger(value) || words.some((word) => word === value)) return;
    throw wrong(path, `one of ${words.join(', ')}`, value);
  }
  const scalar = SCALARS.get(type);
  if (scalar !== undefined && !scalar.fits(value)) throw wrong(path, scalar.expected, value);
}

interface Scalar {
  readonly expected: string;
  fits(value: unknown): boolean;
}

const isText = (value: unknown): boolean => typeof value === 'string';
const integer = (min: bigint, max: bigint): Scalar => ({
  expected: `a whole number from ${min} to ${max}`,
  fits: (value) => {
    const isWhole = Number.isSafeInteger(value) || (typeof value === 'string' && /^-?\d{1,20}$/.test(value));
    if (!isWhole) return false;
    const number = BigInt(String(value));
    return number >= min && number <= max;
  },
});
const NUMBER: Scalar = { expected: 'a number', fits: (value) => typeof value === 'number' };
const INT32 = integer(-(2n ** 31n), 2n ** 31n - 1n);
const UINT32 = integer(0n, 2n ** 32n - 1n);
const INT64 = integer(-(2n ** 63n), 2n ** 63n - 1n);
const UINT64 = integer(0n, 2n ** 64n - 1n);

const SCALARS: ReadonlyMap<string, Scalar> = new Map([
  ['TYPE_STRING', { expected: 'a text', fits: isText }],
  [
    'TYPE_BYTES',
    { expected: 'bytes as base64', fits: (value) => isText(value) && /^[\w+/-]*={0,2}$/.test(String(value)) },
  ],
  ['TYPE_BOOL', { expected: 'true or false', fits: (value) => typeof value === 'boolean' }],
  ['TYPE_DOUBLE', NUMBER],
  ['TYPE_FLOAT', NUMBER],
  ['TYPE_INT32', INT32],
  ['TYPE_SINT32', INT32],
  ['TYPE_SFIXED32', INT32],
  ['TYPE_UINT32', UINT32],
  ['TYPE_FIXED32', UINT32],
  ['TYPE_INT64', INT64],
  ['TYPE_SINT64', INT64],
  ['TYPE_SFIXED64', INT64],
  ['TYPE_UINT64', UINT64],
  ['TYPE_FIXED64', UINT64],
]);

/** Descriptors name types in short where that is unambiguous; one that is not found is left to the node. */
function typeOf(types: Types, typeName: string): object | undefined {
  const name = typeName.replace(/^\./, '');
  const found = types.get(name);
  if (found !== undefined) return found;
  const ends = [...types].filter(([full]) => full.endsWith(`.${name}`));
  return ends.length === 1 ? ends[0]?.[1] : undefined;
}

/** The entry of a map is a message inside the one that has it. */
function nestedOf(descriptor: object, typeName: string): object | undefined {
  const wanted = [typeName, `${typeName}Entry`];
  return listIn(descriptor, 'nestedType').find((nested) => wanted.includes(textIn(nested, 'name')));
}

function fieldsOf(descriptor: object): readonly Field[] {
  return listIn(descriptor, 'field').map((field) => ({
    name: textIn(field, 'name'),
    type: textIn(field, 'type'),
    typeName: textIn(field, 'typeName'),
    isRepeated: textIn(field, 'label') === 'LABEL_REPEATED',
  }));
}

function namesIn(descriptor: object | undefined, list: string): readonly string[] {
  return descriptor === undefined ? [] : listIn(descriptor, list).map((item) => textIn(item, 'name'));
}

function listIn(value: object, key: string): readonly object[] {
  const list: unknown = Reflect.get(value, key);
  return Array.isArray(list) ? list.filter(isObject) : [];
}

function textIn(value: object, key: string): string {
  const text: unknown = Reflect.get(value, key);
  return typeof text === 'string' ? text : '';
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(path: string, expected: string, value: unknown): Error {
  const found = JSON.stringify(value).slice(0, 60);
  return usageError(`the request${path === '' ? '' : `: ${path}`}: expected ${expected}, found ${found}`);
}
