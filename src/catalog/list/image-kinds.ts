/** The combinations of status, disk format and container format that listed images have: a few dozen at most. */
import type { SortField } from '../../domain/image-query.js';
import { type Connection, textAt } from '../connection.js';
import { UNLISTED_STATUSES } from '../terms.js';
import { EXPRESSIONS } from './list-order.js';

/** An absent format is ''. */
export type ImageKind = Readonly<Record<KindField, string>>;
export type KindField = 'status' | 'disk_format' | 'container_format';

/** More than the configured formats can make; past it the file is unlike what we expect, and no walk is short. */
const KINDS_LIMIT = 500;

const { status, disk_format: disk, container_format: container } = EXPRESSIONS;
const LISTED = `i.status not in (${UNLISTED_STATUSES.map((unlisted) => `'${unlisted}'`).join(', ')})`;
/**
 * The next combination after ?1, ?2, ?3 by the index `images_kinds`. Three steps, and no equal column in ORDER BY:
 * SQLite compares rows by an index of columns only, not of expressions, and would sort the whole group.
 */
const NEXT = [
  { condition: `${status} = ?1 and ${disk} = ?2 and ${container} > ?3`, order: container },
  { condition: `${status} = ?1 and ${disk} > ?2 and ?3 is not null`, order: `${disk}, ${container}` },
  {
    condition: `${status} > ?1 and ?2 is not null and ?3 is not null`,
    order: `${status}, ${disk}, ${container}`,
  },
].map(
  ({ condition, order }) =>
    `select ${status}, ${disk}, ${container} from images i indexed by images_kinds ` +
    `where ${LISTED} and ${condition} order by ${order} limit 1`,
);

export function isKindField(field: SortField): field is KindField {
  return field === 'status' || field === 'disk_format' || field === 'container_format';
}

/** All combinations, or undefined when there are too many for a walk. */
export function imageKinds(connection: Connection): readonly ImageKind[] | undefined {
  const kinds: ImageKind[] = [];
  let last: ImageKind | undefined = { status: '', disk_format: '', container_format: '' };
  while (kinds.length < KINDS_LIMIT) {
    last = nextKind(connection, last);
    if (last === undefined) return kinds;
    kinds.push(last);
  }
  return undefined;
}

function nextKind(connection: Connection, last: ImageKind): ImageKind | undefined {
  for (const select of NEXT) {
    const row = connection.get(select, last.status, last.disk_format, last.container_format);
    if (row !== undefined)
      return { status: textAt(row, 0), disk_format: textAt(row, 1), container_format: textAt(row, 2) };
  }
  return undefined;
}
