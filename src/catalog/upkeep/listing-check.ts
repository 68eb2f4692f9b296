/**
 * Whether the list index has exactly the rows that its images and members call for. Rows are not compared one by one, which
 * would take a lookup for each of some forty an image, but by sums of their hashes: what the images call for is added to the
 * sum of each image, what the index has is taken off, and every sum must come to nothing.
 */
import { ServiceError } from '../../base/service-error.js';
import type { Image } from '../../domain/image.js';
import { type Connection, integerAt, type Row, textAt } from '../connection.js';
import { IMAGE_COLUMNS, imageOfRow } from '../image-row.js';
import { UNLISTED_STATUSES } from '../terms.js';
import { listingKeyOf, listingTermsOf } from '../write/compile-effects.js';
import { LISTING_KEYS, type ListingKey } from '../write/statements.js';

const PAGE = 5000;
/** How many images are named in a report. */
const NAMED = 10;

/** What was counted, and what is wrong in words. */
export interface ListingReport {
  readonly images: number;
  readonly problems: readonly string[];
}

/** Reads every image and every row of the list index of the file's snapshot. */
export function checkListings(connection: Connection): ListingReport {
  const sums = new Map<string, number>();
  const problems: string[] = [];
  const images = addImages(connection, sums, problems);
  for (const key of LISTING_KEYS) takeListing(connection, key, sums);
  const wrong = [...sums].filter(([, sum]) => sum !== 0).map(([id]) => id);
  if (wrong.length > 0) {
    const names = wrong.slice(0, NAMED).join(', ');
    const more = wrong.length > NAMED ? ` and ${wrong.length - NAMED} more` : '';
    problems.push(`the list index does not agree with ${wrong.length} images: ${names}${more}`);
  }
  return { images, problems };
}

function addImages(connection: Connection, sums: Map<string, number>, problems: string[]): number {
  const select = `select ${IMAGE_COLUMNS.join(', ')} from images where id > ? order by id limit ${PAGE}`;
  let count = 0;
  for (let rows = connection.all(select, ''); rows.length > 0; rows = connection.all(select, lastText(rows, 0))) {
    count += rows.length;
    for (const row of rows) {
      try {
        addImage(connection, imageOfRow(row), sums);
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        problems.push(`image ${String(row[0])}: ${error.message}`);
      }
    }
  }
  return count;
}

function addImage(connection: Connection, image: Image, sums: Map<string, number>): void {
  if (UNLISTED_STATUSES.includes(image.status)) return;
  const { ordered, creation } = listingTermsOf(image);
  const hidden = image.osHidden ? 1 : 0;
  const members = connection
    .all('select term from image_members where image_id = ?', image.id)
    .map((row) => integerAt(row, 0) * 2 + hidden);
  let sum = 0;
  for (const key of LISTING_KEYS) {
    const place = `${key} ${String(listingKeyOf(image, key))} ${image.createdAtMs}`;
    for (const term of [...(key === 'created_at' ? creation : ordered), ...members]) sum += hashOf(place, term);
  }
  add(sums, image.id, sum);
}

function takeListing(connection: Connection, key: ListingKey, sums: Map<string, number>): void {
  const column = key === 'created_at' ? [] : [key];
  const order = ['term', ...column, 'created_at', 'id'].join(', ');
  const select = (where: string): string =>
    `select term, ${key}, created_at, id from listing_${key} ${where} order by ${order} limit ${PAGE}`;
  const after = select(`where (${order}) > (${order.replace(/\w+/g, '?')})`);
  let rows = connection.all(select(''));
  while (rows.length > 0) {
    for (const row of rows) {
      const place = `${key} ${String(row[1])} ${integerAt(row, 2)}`;
      add(sums, textAt(row, 3), -hashOf(place, integerAt(row, 0)));
    }
    const last = rows.at(-1) ?? [];
    const value = typeof last[1] === 'string' ? last[1] : integerAt(last, 1);
    const head = key === 'created_at' ? [integerAt(last, 0)] : [integerAt(last, 0), value];
    rows = connection.all(after, ...head, integerAt(last, 2), textAt(last, 3));
  }
}

/** Sums stay exact: a hash has 32 bits, and an image some hundred rows. */
function add(sums: Map<string, number>, id: string, value: number): void {
  sums.set(id, (sums.get(id) ?? 0) + value);
}

function lastText(rows: readonly Row[], column: number): string {
  return textAt(rows.at(-1) ?? [], column);
}

/** FNV-1a, 32 bits, of the place and the term: a row that is wrong passes once in four thousand million times. */
function hashOf(place: string, term: number): number {
  const text = `${place} ${term}`;
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}
