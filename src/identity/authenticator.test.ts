import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Authenticator, Credentials } from '../application/ports/authenticator.js';
import { createAuthenticator } from './authenticator.js';
import { createToken, readTokenFile, revokeToken } from './token-file.js';

let folder: string;
let file: string;
let count = 0;
const clock = { now: Date.parse('2026-01-01T00:00:00Z'), nowMs: () => clock.now };
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'oriel-tokens-'));
});
beforeEach(() => {
  count += 1;
  file = join(folder, `tokens-${count}`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function make(...modes: ('none' | 'token')[]): Promise<Authenticator> {
  return createAuthenticator(
    { modes, token: { file }, keystone: null },
    { clock, log: { warn: () => undefined }, statements: null },
  );
}

const given = (fields: Partial<Credentials>): Credentials => ({ listener: 'tcp', ...fields });
const CI = { user: 'ci', project: 'demo', roles: ['Member'], createdAtMs: clock.now, expiresAtMs: null };

describe('mode none', () => {
  it('makes everyone an administrator of the project default', async () => {
    expect(await (await make('none')).authenticate(given({}))).toEqual({
      kind: 'user',
      userId: 'admin',
      projectId: 'default',
      roles: new Set(['admin']),
      serviceRoles: new Set(),
    });
  });

  it('takes another identity from headers', async () => {
    const headers = { userId: 'u', projectId: 'p', roles: ' Member, reader,' };
    expect(await (await make('none')).authenticate(given(headers))).toMatchObject({
      userId: 'u',
      projectId: 'p',
      roles: new Set(['member', 'reader']),
    });
  });

  it('takes another identity from a token, before headers', async () => {
    const none = await make('none');
    expect(await none.authenticate(given({ token: 'u:p:Member,reader', userId: 'x' }))).toMatchObject({
      userId: 'u',
      projectId: 'p',
      roles: new Set(['member', 'reader']),
    });
    expect(await none.authenticate(given({ token: 'u:None:admin' }))).toMatchObject({ projectId: null });
    expect(await none.authenticate(given({ token: 'whatever' }))).toMatchObject({ userId: 'admin' });
    const relayed = await none.authenticate(given({ token: 'u:p:member', serviceToken: 'nova:service:service' }));
    expect(relayed.serviceRoles).toEqual(new Set(['service']));
  });

  it.each(['u:p', ':p:member', 'u:p:r:x'])('refuses the token %s', async (token) => {
    await expect((await make('none')).authenticate(given({ token }))).rejects.toMatchObject({
      reason: 'UNAUTHENTICATED',
    });
  });

  it('makes a host of who comes over the unix socket', async () => {
    expect(await (await make('none')).authenticate({ listener: 'unix' })).toMatchObject({ kind: 'host' });
  });
});

describe('hosts', () => {
  it('are those with a verified certificate or on the unix socket, without a project', async () => {
    const token = await make('token');
    const roles = new Set(['host', 'service', 'reader']);
    const local = await token.authenticate({ listener: 'unix' });
    expect(local).toEqual({ kind: 'host', userId: 'host:local', projectId: null, roles, serviceRoles: new Set() });
    const remote = await token.authenticate(given({ peerCertificate: { commonName: 'compute-7' } }));
    expect(remote).toMatchObject({ kind: 'host', userId: 'host:compute-7' });
  });

  it('are users when they show a token', async () => {
    const { token } = await createToken(file, CI);
    expect(await (await make('token')).authenticate({ listener: 'unix', token })).toMatchObject({
      kind: 'user',
      userId: 'ci',
    });
    await expect((await make('token')).authenticate({ listener: 'unix', token: 'bad' })).rejects.toMatchObject({
      reason: 'UNAUTHENTICATED',
    });
  });
});

describe('mode token', () => {
  it('knows created tokens, not others, and believes no identity header', async () => {
    const { token, record } = await createToken(file, CI);
    const mode = await make('token');
    expect(await mode.authenticate(given({ token, userId: 'root', roles: 'admin' }))).toEqual({
      kind: 'user',
      userId: 'ci',
      projectId: 'demo',
      roles: new Set(['member']),
      serviceRoles: new Set(),
    });
    for (const bad of ['', 'oriel_', `${token}x`, token.slice(0, -1), record.sha256, `oriel_${record.sha256}`]) {
      await expect(mode.authenticate(given({ token: bad, userId: 'root' }))).rejects.toMatchObject({
        reason: 'UNAUTHENTICATED',
        details: { www_authenticate: 'Token realm="oriel"' },
      });
    }
  });

  it('sees created and revoked tokens within a second, without a restart', async () => {
    const mode = await make('token');
    const { token, record } = await createToken(file, CI);
    await expect(mode.authenticate(given({ token }))).rejects.toMatchObject({ reason: 'UNAUTHENTICATED' });
    clock.now += 1000;
    await expect(mode.authenticate(given({ token }))).resolves.toMatchObject({ userId: 'ci' });
    await revokeToken(file, record.id);
    clock.now += 1000;
    await expect(mode.authenticate(given({ token }))).rejects.toMatchObject({ reason: 'UNAUTHENTICATED' });
  });

  it('refuses an expired token', async () => {
    const { token } = await createToken(file, { ...CI, expiresAtMs: clock.now + 5000 });
    const mode = await make('token');
    await expect(mode.authenticate(given({ token }))).resolves.toMatchObject({ userId: 'ci' });
    clock.now += 5000;
    await expect(mode.authenticate(given({ token }))).rejects.toMatchObject({ reason: 'UNAUTHENTICATED' });
  });

  it('fails closed when the file turns bad, and recovers with it', async () => {
    const { token } = await createToken(file, CI);
    const mode = await make('token');
    chmodSync(file, 0o644);
    clock.now += 1000;
    await expect(mode.authenticate(given({ token }))).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    chmodSync(file, 0o600);
    await expect(mode.authenticate(given({ token }))).resolves.toMatchObject({ userId: 'ci' });
  });

  it('does not start with a file that others can read, or that is malformed', async () => {
    await createToken(file, CI);
    chmodSync(file, 0o640);
    await expect(make('token')).rejects.toThrow('mode 640 lets others in; expected 600');
    chmodSync(file, 0o600);
    writeFileSync(file, `${readFileSync(file, 'utf8')}{"id":"x"}\n`);
    await expect(make('token')).rejects.toThrow(/line 2\/\w+: /);
    writeFileSync(file, 'not json\n');
    await expect(make('token')).rejects.toThrow('line 1 is not JSON');
  });
});

describe('the token file', () => {
  it('holds no token, and only its owner can read it', async () => {
    const { token, record } = await createToken(file, CI);
    const content = readFileSync(file, 'utf8');
    expect(content).not.toContain(token.slice('oriel_'.length));
    expect(content).toContain(record.sha256);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('keeps the other tokens when one goes', async () => {
    const first = await createToken(file, CI);
    const second = await createToken(file, { ...CI, user: 'other' });
    await revokeToken(file, first.record.id);
    expect(await readTokenFile(file)).toEqual([second.record]);
    await expect(revokeToken(file, first.record.id)).rejects.toMatchObject({ reason: 'NOT_FOUND' });
    await createToken(file, CI);
    expect(await readTokenFile(file)).toHaveLength(2);
  });

  it('is changed by one command at a time', async () => {
    writeFileSync(`${file}.new`, '');
    await expect(createToken(file, CI)).rejects.toMatchObject({ reason: 'STATE_CONFLICT' });
  });
});
