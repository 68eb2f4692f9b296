import { requirePlainText } from '../text-rules.js';

/** One parameter of a query string: decoded, and as it was sent. */
export interface QueryParameter {
  readonly name: string;
  readonly value: string;
  /** `name=value` as sent, to be repeated in links. */
  readonly raw: string;
}

/**
 * Splits a query string by form decoding, keeping order and repetition (reference §2.1 "Query decoding", §12.8 G13).
 * INVALID_ARGUMENT for text that filters cannot hold (§2.1 "Text limits").
 */
export function parseQuery(rawQuery: string): readonly QueryParameter[] {
  const parameters: QueryParameter[] = [];
  for (const raw of rawQuery.split('&')) {
    if (raw === '') continue;
    for (const [name, value] of new URLSearchParams(raw)) {
      requirePlainText('query parameter name', name);
      requirePlainText(`query parameter ${name}`, value);
      parameters.push({ name, value, raw });
    }
  }
  return parameters;
}
