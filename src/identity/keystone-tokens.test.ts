import { describe, expect, it } from 'vitest';
import { ServiceError } from '../base/service-error.js';
import type { KeystoneToken } from './keystone-client.js';
import { KeystoneTokens, type TokenValidator } from './keystone-tokens.js';

const START_MS = Date.parse('2026-01-01T00:00:00Z');

/** A Keystone in which each token is its user; `down` makes it fail. */
class FakeKeystone implements TokenValidator {
  readonly url = 'http://keystone/v3';
  readonly asked: string[] = [];
  expiresAtMs = START_MS + 3_600_000;
  down = false;

  async validate(token: string): Promise<KeystoneToken | undefined> {
    this.asked.push(token);
    await Promise.resolve();
    if (this.down) throw new ServiceError('UNAVAILABLE', 'down');
    if (token.startsWith('unknown')) return undefined;
    return { expires_at: new Date(this.expiresAtMs).toISOString(), user: { id: token }, roles: [{ name: 'Admin' }] };
  }

  async close(): Promise<void> {
    return Promise.resolve();
  }
}

function setUp() {
  const keystone = new FakeKeystone();
  const clock = { now: START_MS, nowMs: () => clock.now };
  const tokens = new KeystoneTokens(keystone, {
    cacheTtlMs: 60_000,
    outageTtlMs: 600_000,
    clock,
    log: { warn: () => undefined },
  });
  return { keystone, clock, tokens };
}

describe('KeystoneTokens', () => {
  it('asks once for a token while it is fresh, and again after', async () => {
    const { keystone, clock, tokens } = setUp();
    await tokens.recognise('a');
    clock.now += 59_999;
    expect(await tokens.recognise('a')).toEqual({ userId: 'a', projectId: null, roles: new Set(['admin']) });
    expect(keystone.asked).toHaveLength(1);
    clock.now += 1;
    await tokens.recognise('a');
    expect(keystone.asked).toHaveLength(2);
  });

  it('asks once for all who show the same token at the same time', async () => {
    const { keystone, tokens } = setUp();
    await Promise.all(Array.from({ length: 50 }, async () => tokens.recognise('a')));
    expect(keystone.asked).toHaveLength(1);
  });

  it('remembers for ten seconds that a token is unknown', async () => {
    const { keystone, clock, tokens } = setUp();
    expect(await tokens.recognise('unknown')).toBeUndefined();
    clock.now += 9_999;
    expect(await tokens.recognise('unknown')).toBeUndefined();
    expect(keystone.asked).toHaveLength(1);
    clock.now += 1;
    await tokens.recognise('unknown');
    expect(keystone.asked).toHaveLength(2);
  });

  it('never believes a token longer than it lives, also in an outage', async () => {
    const { keystone, clock, tokens } = setUp();
    keystone.expiresAtMs = START_MS + 30_000;
    await tokens.recognise('a');
    clock.now = START_MS + 30_000;
    expect(await tokens.recognise('a')).toBeUndefined();
    keystone.down = true;
    clock.now += 10_000;
    await expect(tokens.recognise('a')).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
  });

  it('goes on with a token in an outage for the time that is configured, and no longer', async () => {
    const { keystone, clock, tokens } = setUp();
    await tokens.recognise('a');
    keystone.down = true;
    clock.now += 599_999;
    expect(await tokens.recognise('a')).toMatchObject({ userId: 'a' });
    clock.now += 1;
    await expect(tokens.recognise('a')).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    keystone.down = false;
    clock.now += 2000;
    expect(await tokens.recognise('a')).toMatchObject({ userId: 'a' });
  });

  it('asks again when the clock was set back, so that a revoked token does not live on', async () => {
    const { keystone, clock, tokens } = setUp();
    await tokens.recognise('a');
    clock.now -= 3_600_000;
    await tokens.recognise('a');
    await tokens.recognise('a');
    expect(keystone.asked).toHaveLength(2);
  });

  it('leaves a failing Keystone alone for two seconds', async () => {
    const { keystone, clock, tokens } = setUp();
    keystone.down = true;
    await expect(tokens.recognise('a')).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    await expect(tokens.recognise('b')).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    expect(keystone.asked).toEqual(['a']);
    keystone.down = false;
    clock.now += 2000;
    await expect(tokens.recognise('b')).resolves.toMatchObject({ userId: 'b' });
  });

  it('holds a bounded number of tokens', async () => {
    const { keystone, tokens } = setUp();
    for (let index = 0; index < 10_100; index += 1) await tokens.recognise(`t${index}`);
    await tokens.recognise('t0');
    expect(keystone.asked.filter((token) => token === 't0')).toHaveLength(2);
  });

  it('asks nobody about tokens of the file, and texts that are no header', async () => {
    const { keystone, tokens } = setUp();
    for (const text of ['oriel_abc', 'a b', 'é', 'x'.repeat(9000), 'a\r\nb']) {
      expect(await tokens.recognise(text)).toBeUndefined();
    }
    expect(keystone.asked).toHaveLength(0);
  });
});
