/** The lists that `catalog-scale` measures, over the images of `seed-catalog`. */
import { asProjectId } from '../src/base/brand.js';
import type { ImageQuery, ListScope, SortField, SortKey } from '../src/domain/image-query.js';
import { VISIBILITIES } from '../src/domain/image.js';
import { GUEST, ME, PARTNER } from './seed-catalog.js';

export const ADMIN: ListScope = {
  anyOwner: ['public', 'private', 'shared'],
  own: { projectId: ME, visibilities: ['community'] },
  member: null,
};
/** Sees an eighth of the images: public ones, its own, and those shared with it. */
const MEMBER: ListScope = {
  anyOwner: ['public'],
  own: { projectId: ME, visibilities: VISIBILITIES },
  member: { projectId: GUEST, statuses: ['accepted'] },
};
export const SCOPES: readonly (readonly [string, ListScope])[] = [
  ['admin', ADMIN],
  ['member', MEMBER],
];

export const BASE: ImageQuery = {
  scope: ADMIN,
  osHidden: false,
  protected: null,
  owner: null,
  ids: [],
  names: [],
  statuses: [],
  diskFormats: [],
  containerFormats: [],
  checksum: null,
  osHashValue: null,
  tags: [],
  properties: [],
  integers: [],
  times: [],
  sort: [],
  after: null,
  limit: 25,
};

const INDEXED: readonly SortField[] = ['created_at', 'updated_at', 'name', 'size'];
export const INDEXED_SORTS: readonly SortKey[] = INDEXED.flatMap((field) =>
  [false, true].map((ascending) => ({ field, ascending })),
);

const sharedWith = (projectId: typeof GUEST): ListScope => ({
  anyOwner: [],
  own: null,
  member: { projectId, statuses: ['accepted'] },
});
const build = (share: string): Partial<ImageQuery> => ({ properties: [{ name: 'build', value: `build-${share}` }] });

/** One filter each, by the share of the images that have it. */
export const FILTERS: Record<string, Partial<ImageQuery>> = {
  none: {},
  'visibility=public 10%': { scope: { anyOwner: ['public'], own: null, member: null } },
  'owner 30%': { owner: asProjectId('project-30-percent') },
  'owner 4%': { owner: asProjectId('project-4-percent') },
  'owner 1%': { owner: ME },
  'status=active 65%': { statuses: ['active'] },
  'status=deactivated 30%': { statuses: ['deactivated'] },
  'status=queued 4%': { statuses: ['queued'] },
  'status=uploading 1%': { statuses: ['uploading'] },
  'name 30%': { names: ['image-30-percent'] },
  'name 4%': { names: ['image-4-percent'] },
  'name 1%': { names: ['image-77'] },
  'tag 30%': { tags: ['tag-30-percent'] },
  'tag 4%': { tags: ['tag-4-percent'] },
  'tag 1%': { tags: ['tag-77'] },
  'member 4%': { scope: sharedWith(PARTNER) },
  'member 1%': { scope: sharedWith(GUEST) },
  'property 30%': build('30-percent'),
  'property 4%': build('4-percent'),
  'property 1%': build('77'),
};

/** Combinations that no single index serves. */
export const OTHERS: Record<string, Partial<ImageQuery>> = {
  'sort id': { sort: [{ field: 'id', ascending: true }] },
  'sort status': { sort: [{ field: 'status', ascending: true }] },
  'sort disk_format': { sort: [{ field: 'disk_format', ascending: false }] },
  'sort name, size': {
    sort: [
      { field: 'name', ascending: true },
      { field: 'size', ascending: false },
    ],
  },
  'size range': { integers: [{ field: 'size', min: 4_200_000_000, max: 4_210_000_000 }] },
  'min_ram, tag, status': {
    integers: [{ field: 'min_ram', min: 3584, max: null }],
    tags: ['tag-77'],
    statuses: ['queued'],
  },
  'tag and property': { tags: ['tag-77'], ...build('77') },
  'name and owner': { names: ['image-77'], owner: ME },
  'updated since': { times: [{ field: 'updated_at', operator: 'gte', seconds: 1_800_000_000 }] },
  protected: { protected: true },
  'disk_format and name asc': { diskFormats: ['raw'], sort: [{ field: 'name', ascending: true }] },
  'nothing matches': { tags: ['no such tag'], statuses: ['active'] },
  'min_disk never': { integers: [{ field: 'min_disk', min: 1000, max: null }] },
};

/** Two filters of 1 % (a status of 4 %) at once. */
const PAIRS: Record<string, Partial<ImageQuery>> = {
  'tag, property': { tags: ['tag-77'], ...build('77') },
  'tag, name': { tags: ['tag-77'], names: ['image-77'] },
  'tag, status': { tags: ['tag-77'], statuses: ['queued'] },
  'name, owner': { names: ['image-77'], owner: ME },
  'name 30 %, tag': { names: ['image-30-percent'], tags: ['tag-77'] },
};

/** Two filters under each order of two keys. */
export function pairsOfFiltersAndKeys(): ReadonlyMap<string, ImageQuery> {
  const fields: readonly SortField[] = [...INDEXED, 'status', 'disk_format', 'id'];
  const queries = new Map<string, ImageQuery>();
  for (const [scopeName, scope] of SCOPES) {
    for (const [pairName, pair] of Object.entries(PAIRS)) {
      for (const first of fields.slice(0, -1)) {
        for (const second of fields) {
          if (first === second) continue;
          for (const ascending of [false, true]) {
            const sort = [
              { field: first, ascending },
              { field: second, ascending: !ascending },
            ];
            const order = `${first} ${ascending ? 'asc' : 'desc'}, ${second}`;
            queries.set(`${scopeName} | ${pairName} | ${order}`, { ...BASE, scope, ...pair, sort });
          }
        }
      }
    }
  }
  return queries;
}
