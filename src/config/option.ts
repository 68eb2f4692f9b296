/**
 * The kinds of options. Each is a TypeBox schema whose `title` says what is expected, for error messages, and whose
 * `description` says what the option does, for the documentation. `""` means "not set" where an option may be absent:
 * TOML has no null and an environment variable cannot say more.
 */
import { type TSchema, Type, TypeGuard } from '@sinclair/typebox';

/** Any text; `""` means not set. */
export function text(value: string, description: string, expected = 'a text') {
  return Type.String({ default: value, description, title: expected });
}

/** true or false. */
export function toggle(value: boolean, description: string) {
  return Type.Boolean({ default: value, description, title: 'true or false' });
}

/** A whole number between two bounds, both included. */
export function integer(value: number, bounds: { readonly min: number; readonly max: number }, description: string) {
  const title = `a whole number from ${bounds.min} to ${bounds.max}`;
  return Type.Integer({ default: value, minimum: bounds.min, maximum: bounds.max, description, title });
}

/** A quota: a whole number, negative for none (reference §10). */
export function quota(value: number, description: string) {
  const title = 'a whole number, negative for no limit';
  return Type.Integer({ default: value, minimum: -1_000_000_000, maximum: 1_000_000_000, description, title });
}

/** Bytes: a number, or a text with a unit. */
export function size(value: string, description: string) {
  const title = 'a size such as 512, "10MB" or "10MiB"';
  return Type.Union([Type.Integer(), Type.String()], { default: value, description, title, format: 'size' });
}

/** Time: seconds, or a text with a unit. */
export function duration(value: string, description: string) {
  const title = 'a duration such as 30, "500ms", "30s", "5m", "24h" or "7d"';
  return Type.Union([Type.Number(), Type.String()], { default: value, description, title, format: 'duration' });
}

/** One of a few words. */
export function choice<const Word extends string>(words: readonly Word[], value: NoInfer<Word>, description: string) {
  const literals = words.map((word) => Type.Literal(word));
  return Type.Unsafe<Word>(Type.Union(literals, { default: value, description, title: `one of ${words.join(', ')}` }));
}

/** A list of texts. */
export function textList(value: readonly string[], description: string) {
  return Type.Array(Type.String({ minLength: 1 }), { default: value, description, title: 'a list of texts' });
}

/** A list of port numbers. */
export function portList(value: readonly number[], description: string) {
  const port = Type.Integer({ minimum: 1, maximum: 65_535 });
  return Type.Array(port, { default: value, description, title: 'a list of port numbers' });
}

/** A list of some of a few words, or one of them. */
export function choiceList<const Word extends string>(
  words: readonly Word[],
  value: readonly NoInfer<Word>[],
  description: string,
) {
  const one = Type.Unsafe<Word>(Type.Union(words.map((word) => Type.Literal(word))));
  const title = `one of ${words.join(', ')}, or a list of them`;
  return Type.Union([one, Type.Array(one, { minItems: 1, uniqueItems: true })], { default: value, description, title });
}

/** Turns the text of an environment variable or a flag into what the schema takes; what does not fit stays text. */
export function fromText(schema: TSchema, given: string): unknown {
  if (TypeGuard.IsBoolean(schema)) return given === 'true' ? true : given === 'false' ? false : given;
  if (TypeGuard.IsInteger(schema)) return /^-?\d{1,15}$/.test(given) ? Number(given) : given;
  if (TypeGuard.IsArray(schema)) return splitList(given).map((item) => fromText(schema.items, item));
  const takesList = TypeGuard.IsUnion(schema) && schema.anyOf.some((branch) => TypeGuard.IsArray(branch));
  return takesList && given.includes(',') ? splitList(given) : given;
}

function splitList(given: string): string[] {
  return given
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
