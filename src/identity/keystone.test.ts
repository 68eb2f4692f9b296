import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasKeystone, type KeystoneUser, startKeystone, type TestKeystone } from '../../test/support/keystone.js';
import type { Authenticator } from '../application/ports/authenticator.js';
import { createAuthenticator } from './authenticator.js';
import { createToken } from './token-file.js';

const ORIEL: KeystoneUser = { name: 'oriel', password: 'pw-o', project: 'service', roles: ['admin', 'service'] };
const DEMO: KeystoneUser = { name: 'demo', password: 'pw-d', project: 'demo', roles: ['member', 'reader'] };

// STYLE §7: a tool that is missing elsewhere reports skipped; scripts/test installs it.
describe.skipIf(!hasKeystone())('mode keystone with a real Keystone', () => {
  let keystone: TestKeystone;
  let folder: string;
  let nowMs = Date.now();
  const open: Authenticator[] = [];
  const warnings: string[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'oriel-identity-'));
    writeFileSync(join(folder, 'password'), `${ORIEL.password}\n`);
    keystone = await startKeystone([ORIEL, DEMO]);
  }, 120_000);

  afterAll(async () => {
    for (const authenticator of open) await authenticator.close();
    await keystone.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function authenticator(username = ORIEL.name): Promise<Authenticator> {
    const made = await createAuthenticator(
      {
        modes: ['keystone', 'token'],
        token: { file: join(folder, 'tokens') },
        keystone: {
          url: keystone.url,
          username,
          passwordFile: join(folder, 'password'),
          project: ORIEL.project,
          userDomain: 'Default',
          projectDomain: 'Default',
          caFile: null,
          cacheTtlMs: 300_000,
          outageTtlMs: 3_600_000,
        },
      },
      {
        clock: { nowMs: () => nowMs },
        log: { warn: (_facts, message) => void warnings.push(message) },
        statements: null,
      },
    );
    open.push(made);
    return made;
  }

  it('knows the user, the project and the roles of a token', async () => {
    const caller = await (await authenticator()).authenticate({ listener: 'http', token: await keystone.token(DEMO) });
    expect(caller).toEqual({
      kind: 'user',
      userId: keystone.users.get('demo'),
      projectId: keystone.projects.get('demo'),
      roles: new Set(['member', 'reader']),
      serviceRoles: new Set(),
    });
  });

  it('makes a caller without a project of an unscoped token', async () => {
    const token = await keystone.token(DEMO, 'none');
    const caller = await (await authenticator()).authenticate({ listener: 'http', token });
    expect(caller).toMatchObject({ projectId: null, roles: new Set() });
  });

  it('takes the roles of a service token apart from the caller’s', async () => {
    const [token, serviceToken] = [await keystone.token(DEMO), await keystone.token(ORIEL)];
    const service = await authenticator();
    const caller = await service.authenticate({ listener: 'tcp', token, serviceToken });
    expect(caller.roles).toEqual(new Set(['member', 'reader']));
    expect(caller.serviceRoles.has('service')).toBe(true);
    await expect(service.authenticate({ listener: 'tcp', token, serviceToken: 'bad' })).rejects.toMatchObject({
      reason: 'UNAUTHENTICATED',
    });
  });

  it('refuses an unknown token with the challenge of Keystone, and never shows the token', async () => {
    const refusal: unknown = await (await authenticator())
      .authenticate({ listener: 'http', token: 'gAAAAAunknown' })
      .catch((error: unknown) => error);
    expect(refusal).toMatchObject({ reason: 'UNAUTHENTICATED' });
    expect((refusal as { details: Record<string, string> }).details['www_authenticate']).toContain(
      `Keystone uri="${keystone.url}"`,
    );
    expect(JSON.stringify(refusal)).not.toContain('gAAAAAunknown');
  });

  it('believes a revoked token until the cache entry is no longer fresh, then not', async () => {
    const service = await authenticator();
    const token = await keystone.token(DEMO);
    await service.authenticate({ listener: 'http', token });
    await keystone.revoke(token);
    await expect(service.authenticate({ listener: 'http', token })).resolves.toBeDefined();
    nowMs += 300_001;
    await expect(service.authenticate({ listener: 'http', token })).rejects.toMatchObject({
      reason: 'UNAUTHENTICATED',
    });
  });

  it('gets a new token of its own when Keystone no longer takes the old one', async () => {
    const service = await authenticator();
    await service.authenticate({ listener: 'http', token: await keystone.token(DEMO) });
    // Its own token lives a day; the clock of the service says it needs renewal.
    nowMs += 86_400_000 - 60_000;
    const again = service.authenticate({ listener: 'http', token: await keystone.token(DEMO) });
    nowMs = Date.now();
    await expect(again).resolves.toMatchObject({ kind: 'user' });
  });

  it('says UPSTREAM_FAILED when Keystone refuses the service user', async () => {
    const service = await authenticator('nobody');
    const token = await keystone.token(DEMO);
    await expect(service.authenticate({ listener: 'http', token })).rejects.toMatchObject({
      reason: 'UPSTREAM_FAILED',
    });
  });

  it('takes tokens of the file beside those of Keystone, in an outage too', async () => {
    const { token } = await createToken(join(folder, 'tokens'), {
      user: 'edge',
      project: 'p',
      roles: ['Member'],
      createdAtMs: nowMs,
      expiresAtMs: null,
    });
    const service = await authenticator();
    const known = await keystone.token(DEMO);
    const fresh = await keystone.token(DEMO);
    await service.authenticate({ listener: 'http', token: known });
    await keystone.halt();
    nowMs += 300_001;
    await expect(service.authenticate({ listener: 'http', token })).resolves.toMatchObject({ userId: 'edge' });
    // Known before: goes on until it expires, although its entry is no longer fresh.
    await expect(service.authenticate({ listener: 'http', token: known })).resolves.toMatchObject({ kind: 'user' });
    expect(warnings).toHaveLength(1);
    await expect(service.authenticate({ listener: 'http', token: fresh })).rejects.toMatchObject({
      reason: 'UNAVAILABLE',
      details: { retry_after: '5' },
    });
    // And for as long as is configured: then somebody who was locked out in the meantime must not get in any more.
    nowMs += 3_600_000;
    await expect(service.authenticate({ listener: 'http', token: known })).rejects.toMatchObject({
      reason: 'UNAVAILABLE',
    });
    await keystone.resume();
    nowMs += 10_000;
    await expect(service.authenticate({ listener: 'http', token: fresh })).resolves.toMatchObject({ kind: 'user' });
  });
});
