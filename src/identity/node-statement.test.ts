import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { asNodeId, asProjectId } from '../base/brand.js';
import type { Caller } from '../domain/caller.js';
import { ClusterKey } from './cluster-key.js';
import { signStatement, StatementVerifier } from './node-statement.js';

const NODE = asNodeId('11111111-1111-4111-8111-111111111111');
const NOW_MS = 1_800_000_000_000;
const pair = () => generateKeyPairSync('ed25519');
const pem = (key: ReturnType<typeof pair>['publicKey']): string =>
  key.export({ type: 'spki', format: 'pem' }).toString();
const own = pair();
const caller: Caller = {
  kind: 'user',
  userId: 'u',
  projectId: asProjectId('p'),
  roles: new Set(['member', 'reader']),
  serviceRoles: new Set(['service']),
};

function verifier(nowMs = NOW_MS, key: string | undefined = pem(own.publicKey)): StatementVerifier {
  return new StatementVerifier({ keyOf: (id) => Promise.resolve(id === NODE ? key : undefined), nowMs: () => nowMs });
}

describe('statements of nodes', () => {
  it('carry the caller and the node that vouches for it', async () => {
    const said = await verifier().verify(signStatement(own.privateKey, NODE, caller, NOW_MS));
    expect(said).toEqual({ ...caller, vouchedBy: NODE });
  });

  it('carry a caller without a project', async () => {
    const host: Caller = { ...caller, kind: 'host', projectId: null };
    expect((await verifier().verify(signStatement(own.privateKey, NODE, host, NOW_MS))).projectId).toBeNull();
  });

  it.each([-61_000, 61_000])('are refused %i ms away', async (awayMs) => {
    const statement = signStatement(own.privateKey, NODE, caller, NOW_MS);
    await expect(verifier(NOW_MS + awayMs).verify(statement)).rejects.toMatchObject({ reason: 'UNAUTHENTICATED' });
  });

  it('are refused when another key signed, or the node is unknown', async () => {
    const forged = signStatement(pair().privateKey, NODE, caller, NOW_MS);
    await expect(verifier().verify(forged)).rejects.toMatchObject({ reason: 'UNAUTHENTICATED' });
    const stranger = signStatement(own.privateKey, asNodeId('22222222-2222-4222-8222-222222222222'), caller, NOW_MS);
    await expect(verifier().verify(stranger)).rejects.toMatchObject({ reason: 'UNAUTHENTICATED' });
  });

  it('are refused when what they say was changed', async () => {
    const [, signature = ''] = signStatement(own.privateKey, NODE, caller, NOW_MS).split('.');
    const said = { n: NODE, k: 'user', u: 'u', p: 'other', r: ['admin'], s: [], t: NOW_MS };
    const changed = `${Buffer.from(JSON.stringify(said)).toString('base64url')}.${signature}`;
    await expect(verifier().verify(changed)).rejects.toMatchObject({ reason: 'UNAUTHENTICATED' });
  });

  it.each(['', '.', 'a.b', 'a.b.c', `${Buffer.from('{"n":1}').toString('base64url')}.x`, 'x'.repeat(70_000)])(
    'are refused when malformed',
    async (statement) => {
      await expect(verifier().verify(statement)).rejects.toMatchObject({ reason: 'UNAUTHENTICATED' });
    },
  );
});

describe('the key of a cluster', () => {
  const key = new ClusterKey(Buffer.alloc(32, 7));
  it('proves for one node and one public key alone', () => {
    const proof = key.proof('n', 'pem');
    expect(key.proves('n', 'pem', proof)).toBe(true);
    expect(key.proves('m', 'pem', proof)).toBe(false);
    expect(key.proves('n', 'pen', proof)).toBe(false);
    expect(key.proves('n', 'pem', proof.subarray(1))).toBe(false);
    expect(new ClusterKey(Buffer.alloc(32, 8)).proves('n', 'pem', proof)).toBe(false);
  });
});
