import { ServiceError } from '../../base/service-error.js';

/**
 * The values that a text filter names (reference §6.2 "Filters"): `x` and `eq:x` are one value, `in:a,"b,c"` a list whose
 * quoted items may hold commas. A colon at either end makes no operator. INVALID_ARGUMENT for another operator.
 */
export function textFilterValues(name: string, value: string): readonly string[] {
  const colon = value.indexOf(':');
  if (colon <= 0 || colon === value.length - 1) return [value];
  const operator = value.slice(0, colon);
  const operand = value.slice(colon + 1);
  if (operator === 'eq') return [operand];
  if (operator === 'in') return splitQuoted(name, operand);
  throw new ServiceError(
    'INVALID_ARGUMENT',
    `${name}: expected the operator eq or in, got ${JSON.stringify(operator)}`,
  );
}

/** Splits `a,"b,c",d` at the commas outside quotes; `\"` inside quotes is a quote. */
export function splitQuoted(name: string, list: string): readonly string[] {
  const items: string[] = [];
  let index = 0;
  while (index <= list.length) {
    const item = list[index] === '"' ? quotedItem(name, list, index) : plainItem(name, list, index);
    items.push(item.text);
    index = item.next;
  }
  return items;
}

interface Item {
  readonly text: string;
  /** Where the next item starts; beyond the length of the list when there is none. */
  readonly next: number;
}

function plainItem(name: string, list: string, start: number): Item {
  const comma = list.indexOf(',', start);
  const end = comma === -1 ? list.length : comma;
  const text = list.slice(start, end);
  if (/(?<!\\)"/.test(text)) throw unbalanced(name, 'a comma before the opening quotation mark');
  return { text, next: end + 1 };
}

function quotedItem(name: string, list: string, start: number): Item {
  let end = start + 1;
  while (end < list.length && list[end] !== '"') end += list[end] === '\\' ? 2 : 1;
  if (end >= list.length) throw unbalanced(name, 'a closing quotation mark');
  if (end + 1 < list.length && list[end + 1] !== ',')
    throw unbalanced(name, 'a comma after the closing quotation mark');
  return { text: list.slice(start + 1, end).replaceAll('\\"', '"'), next: end + 2 };
}

function unbalanced(name: string, expected: string): ServiceError {
  return new ServiceError('INVALID_ARGUMENT', `${name}: expected ${expected}`);
}

const ISO_8601 =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,]\d{1,9})?)?(Z|[+\- ]\d{2}(?::?\d{2})?)?)?$/i;

/** Parses an ISO 8601 date, taken as UTC when it names no zone, cut to seconds; undefined when it is none. */
export function parseIsoTime(text: string): Date | undefined {
  const match = ISO_8601.exec(text);
  if (match === null) return undefined;
  const [, year = '', month = '', day = '', hour = '00', minute = '00', second = '00', zone = 'Z'] = match;
  const utc = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  // Date.parse rolls 31 February over instead of refusing it.
  if (Number.isNaN(utc.getTime()) || utc.getUTCDate() !== Number(day)) return undefined;
  const offsetMinutes = zoneOffsetMinutes(zone);
  return offsetMinutes === undefined ? undefined : new Date(utc.getTime() - offsetMinutes * 60_000);
}

/** Form decoding turns the plus of an unescaped `+00:00` into a blank, which is therefore a plus. */
function zoneOffsetMinutes(zone: string): number | undefined {
  if (zone === 'Z' || zone === 'z') return 0;
  const digits = zone.slice(1).replace(':', '').padEnd(4, '0');
  const hours = Number(digits.slice(0, 2));
  const minutes = Number(digits.slice(2));
  if (hours > 23 || minutes > 59) return undefined;
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
}
