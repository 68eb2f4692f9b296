/**
 * Fills a catalog's file with images, fast: rows in big transactions, then each index table once, in its own order.
 * A process of its own, so that its memory and its page cache are not the measured one's.
 *
 * node dist/bench/seed-catalog.js FILE IMAGES
 */
import { pathToFileURL } from 'node:url';
import { asImageId, asProjectId } from '../src/base/brand.js';
import { type Image, type ImageState, type Visibility } from '../src/domain/image.js';
import { Connection } from '../src/catalog/connection.js';
import { migrate } from '../src/catalog/migrate.js';
import { MIGRATIONS } from '../src/catalog/migrations/index.js';
import { valuesOf } from '../src/catalog/image-row.js';
import { creationTerms, factHash, orderedTerms, ownerHash, visibilityNumber } from '../src/catalog/terms.js';
import { STATEMENTS } from '../src/catalog/write/statements.js';

export const ME = asProjectId('project-77');
/** Member of 1.25 % of the images. */
export const GUEST = asProjectId('guest');
/** Member of 4 % of them. */
export const PARTNER = asProjectId('partner');

/** Image `n`: the same shares of everything whatever the number of images. */
export function seededImage(n: number): Image {
  const random = (salt: number): number => {
    let mixed = Math.imul(n ^ (salt * 0x9e3779b1), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x27d4eb2f);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
  const id = asImageId(`${random(1).toString(16).padStart(8, '0')}-0000-4000-8000-${n.toString(16).padStart(12, '0')}`);
  if (id === undefined) throw new Error(`seed: image ${n} has no UUID`);
  const createdAtMs = 1_700_000_000_000 + n * 1000 + (random(2) % 1000);
  return {
    id,
    version: 1,
    name: `image-${shareOf(random(3))}`,
    owner: asProjectId(`project-${shareOf(random(4))}`),
    visibility: visibilityOf(random(5) % 100),
    protected: n % 50 === 0,
    osHidden: n % 100 === 99,
    diskFormat: n % 3 === 0 ? 'raw' : 'qcow2',
    containerFormat: 'bare',
    minDiskGib: random(6) % 10,
    minRamMib: 512 * (random(7) % 8),
    createdAtMs,
    updatedAtMs: createdAtMs + (random(8) % 10_000_000),
    tags: [`tag-${shareOf(random(9))}`, `team-${random(10) % 10}`].toSorted(),
    properties: new Map([
      ['os_distro', `distro-${random(11) % 10}`],
      ['build', `build-${shareOf(random(12))}`],
    ]),
    ...stateOf(random(13)),
  };
}

/**
 * One value has 30 % of the images, one 4 %, and 66 others have 1 % each. Of 1 000 images the first fills a page of 25
 * for a caller who sees an eighth of them, the second one for a caller who sees all, the others none.
 */
function shareOf(random: number): string {
  const percent = random % 100;
  return percent < 30 ? '30-percent' : percent < 34 ? '4-percent' : String(percent);
}

function visibilityOf(percent: number): Visibility {
  return percent < 10 ? 'public' : percent < 15 ? 'community' : percent < 40 ? 'shared' : 'private';
}

function stateOf(random: number): ImageState {
  const percent = random % 100;
  if (percent < 1) return { status: 'uploading' };
  if (percent < 5) return { status: 'queued' };
  return {
    status: percent < 35 ? 'deactivated' : 'active',
    data: {
      // A tenth of the images are of one size, as snapshots of one flavour are.
      sizeBytes: random % 10 === 0 ? 2_147_483_648 : 100_000_000 + random,
      virtualSizeBytes: 10_737_418_240,
      checksum: random.toString(16).padStart(32, '0'),
      osHashAlgo: 'sha512',
      osHashValue: random.toString(16).padStart(128, '0'),
      locations: [],
      fileMap: null,
    },
  };
}

function seed(path: string, images: number): void {
  const connection = new Connection(path, 'writer');
  migrate(connection, MIGRATIONS, 0);
  connection.exec('pragma synchronous = off');
  connection.exec('pragma cache_size = -500000');
  connection.exec(
    'create temp table posts (term integer, n integer, visibility integer, owner integer, creation integer)',
  );
  const members = [
    { projectId: GUEST, each: 20 },
    { projectId: PARTNER, each: 6 },
  ].map((member) => ({
    ...member,
    term: factHash({ kind: 'member', projectId: member.projectId, status: 'accepted' }),
  }));
  for (let from = 0; from < images; from += 20_000) {
    connection.exec('begin');
    for (let n = from; n < Math.min(from + 20_000, images); n += 1) {
      const image = seededImage(n);
      connection.run(STATEMENTS.insertImage, ...valuesOf(image));
      const hints = [visibilityNumber(image.visibility), ownerHash(image.owner)];
      const insert = 'insert into posts select value, ?2, ?3, ?4, ?5 from json_each(?1)';
      connection.run(insert, JSON.stringify(orderedTerms(image)), n + 1, ...hints, 0);
      connection.run(insert, JSON.stringify(creationTerms(image)), n + 1, ...hints, 1);
      for (const { projectId, each, term } of members) {
        if (image.visibility !== 'shared' || n % each !== 0) continue;
        connection.run(STATEMENTS.insertMember, image.id, projectId, 'accepted', term, 0, 0);
        connection.run('insert into posts values (?, ?, 0, 0, 0)', term * 2 + (image.osHidden ? 1 : 0), n + 1);
      }
    }
    connection.exec('commit');
  }
  const tables = {
    created_at: 'i.created_at, i.id',
    updated_at: 'i.updated_at, i.created_at, i.id',
    name: "coalesce(i.name, ''), i.created_at, i.id",
    size: 'coalesce(i.size, 0), i.created_at, i.id',
  };
  for (const [key, columns] of Object.entries(tables)) {
    const only = key === 'created_at' ? '' : 'where p.creation = 0';
    connection.exec(
      `insert into listing_${key} select p.term, ${columns}, p.visibility, p.owner ` +
        `from posts p cross join images i on i.row_number = p.n ${only} order by p.term, ${columns}`,
    );
  }
  connection.exec('drop table posts');
  connection.exec('pragma wal_checkpoint(truncate)');
  connection.close();
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  seed(process.argv[2] ?? '', Number(process.argv[3]));
}
