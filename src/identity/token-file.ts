/**
 * The file of tokens of mode `token`: one JSON object a line.
 *
 *   {"id":"3f9c0a17","sha256":"…64 hex…","user":"ci","project":"demo","roles":["member"],"created_at":"…Z","expires_at":"…Z"}
 *
 * A token is `oriel_` and 32 random bytes. With 256 bits of chance a plain SHA-256 cannot be searched, so a slow password
 * hash would add nothing but load on every request. The file has mode 0600 and is replaced as a whole, by a rename.
 */
import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Static, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { ServiceError } from '../base/service-error.js';

/** What every token of this file begins with, so that other modes need not look at it. */
export const TOKEN_PREFIX = 'oriel_';
/** More tokens than a small site has, and few enough to read in a moment. */
const MOST_BYTES = 16 * 1024 * 1024;

const TokenRecord = Type.Object(
  {
    id: Type.String({ pattern: '^[0-9a-f]{8}$' }),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    user: Type.String({ minLength: 1, maxLength: 255 }),
    project: Type.Union([Type.String({ minLength: 1, maxLength: 255 }), Type.Null()]),
    roles: Type.Array(Type.String({ minLength: 1, maxLength: 255 })),
    created_at: Type.String(),
    expires_at: Type.Union([Type.String(), Type.Null()]),
  },
  { additionalProperties: false },
);

/** One line of the file. Times are ISO 8601; the token itself is not in it. */
export type TokenRecord = Static<typeof TokenRecord>;

export interface NewToken {
  readonly user: string;
  readonly project: string | null;
  readonly roles: readonly string[];
  readonly createdAtMs: number;
  /** Null: never. */
  readonly expiresAtMs: number | null;
}

/** The lower-case hex of SHA-256 of a token. */
export function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/**
 * Reads the file; one that is not there has no tokens. INVALID_ARGUMENT: malformed, too large, or others may read or write it.
 */
export async function readTokenFile(file: string): Promise<readonly TokenRecord[]> {
  let content: string;
  try {
    const facts = await stat(file);
    if ((facts.mode & 0o077) !== 0) throw bad(`mode ${(facts.mode & 0o777).toString(8)} lets others in; expected 600`);
    if (facts.size > MOST_BYTES) throw bad(`${facts.size} bytes; expected at most ${MOST_BYTES}`);
    content = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
  return content.split('\n').flatMap((line, index) => (line.trim() === '' ? [] : [parseRecord(line, index + 1)]));
}

/** Adds a token and returns it; nothing else will ever show it again. Reasons: as `readTokenFile`, STATE_CONFLICT. */
export async function createToken(
  file: string,
  given: NewToken,
): Promise<{ readonly token: string; readonly record: TokenRecord }> {
  const token = `${TOKEN_PREFIX}${randomBytes(32).toString('base64url')}`;
  const record: TokenRecord = {
    id: randomBytes(4).toString('hex'),
    sha256: digestOf(token),
    user: given.user,
    project: given.project,
    roles: given.roles.map((role) => role.toLowerCase()),
    created_at: new Date(given.createdAtMs).toISOString(),
    expires_at: given.expiresAtMs === null ? null : new Date(given.expiresAtMs).toISOString(),
  };
  if (!Value.Check(TokenRecord, record)) throw bad('user, project and roles must have 1 to 255 characters each');
  await change(file, (records) => [...records, record]);
  return { token, record };
}

/** Removes the token with this id. NOT_FOUND: there is none. */
export async function revokeToken(file: string, id: string): Promise<void> {
  await change(file, (records) => {
    const rest = records.filter((record) => record.id !== id);
    if (rest.length === records.length) throw new ServiceError('NOT_FOUND', `There is no token with the id ${id}.`);
    return rest;
  });
}

/** Replaces the file. The new file is created exclusively, so it is the lock between two commands as well. */
async function change(file: string, edit: (records: readonly TokenRecord[]) => readonly TokenRecord[]): Promise<void> {
  const next = `${file}.new`;
  const handle = await openExclusively(next);
  try {
    const records = edit(await readTokenFile(file));
    await handle.writeFile(records.map((record) => `${JSON.stringify(record)}\n`).join(''));
    await handle.sync();
    await rename(next, file);
  } catch (error) {
    await unlink(next);
    throw error;
  } finally {
    await handle.close();
  }
  const folder = await open(dirname(file), 'r');
  await folder.sync().finally(async () => folder.close());
}

async function openExclusively(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) throw cause;
    const message = `Another command is changing the tokens, or one was interrupted; then remove ${path}.`;
    throw new ServiceError('STATE_CONFLICT', message, { cause });
  }
}

function parseRecord(line: string, number: number): TokenRecord {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (cause) {
    throw new ServiceError('INVALID_ARGUMENT', `token file: line ${number} is not JSON`, { cause });
  }
  if (!Value.Check(TokenRecord, parsed)) {
    const first = Value.Errors(TokenRecord, parsed).First();
    throw bad(`line ${number}${first?.path ?? ''}: ${first?.message ?? 'not a token record'}`);
  }
  if (parsed.expires_at !== null && Number.isNaN(Date.parse(parsed.expires_at))) {
    throw bad(`line ${number}/expires_at: expected a time in ISO 8601`);
  }
  return parsed;
}

function bad(problem: string): ServiceError {
  return new ServiceError('INVALID_ARGUMENT', `token file: ${problem}`);
}
