import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { withAdvice } from '../cli/connection-advice.js';
import { isUnreachable, ServiceError } from '../base/service-error.js';
import { newClusterAuthority } from '../identity/cluster-certificates.js';
import { connect, statusError } from './node-client.js';

const address = (node: string) => ({ node, token: undefined });
const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

describe('a node that does not answer', () => {
  it('is told without its address, which servers hand on, and without advice for a command line', async () => {
    const client = connect(address('127.0.0.1:1'), new AbortController().signal);
    const error: unknown = await client.node.getServiceInfo({}).catch((failure: unknown) => failure);
    client.close();
    expect(isUnreachable(error)).toBe(true);
    expect(textOf(error)).toBe('No answer came from the node (ECONNREFUSED).');
    // For logs.
    expect(error instanceof Error ? textOf(error.cause) : '').toContain('127.0.0.1:1');
  });

  it('is told a user with the address, the reason and what to do', () => {
    const said = (last: string, ca?: string): string => {
      const details = `No connection established. Last error: ${last}. Resolution note: `;
      const error = statusError({ code: 14, details, cause: Object.assign(new Error(details), { details }) });
      return textOf(withAdvice(error, { ...address('10.0.0.1:9292'), ca }));
    };
    expect(said('Error: connect ECONNREFUSED 10.0.0.1:9292')).toMatch(
      /^No node answers at 10\.0\.0\.1:9292 \(connect ECONNREFUSED 10\.0\.0\.1:9292\)\. Start one/,
    );
    expect(said('Protocol error (2026-11-26T22:28:52.700Z)')).toMatch(/\(Protocol error\)\. .*port of the Images API/);
    expect(said('801C:error:0A00010B:SSL routines:wrong version number:x.c:350:\n', '/ca.pem')).toContain(
      'leave --ca out',
    );
    expect(said('connect EACCES /run/oriel.sock')).toContain('may not use the socket');
  });

  it('leaves other errors as they are', () => {
    const error = new ServiceError('NOT_FOUND', 'no image');
    expect(withAdvice(error, address('10.0.0.1:9293'))).toBe(error);
  });
});

describe('an address', () => {
  it('is refused under the name of the option that gave it', () => {
    const { signal } = new AbortController();
    expect(() => connect(address('127.0.0.1:99999'), signal)).toThrow('--node: expected HOST:PORT or unix:PATH');
    expect(() => connect({ ...address('foo'), option: '--primary' }, signal)).toThrow('--primary: expected HOST:PORT');
  });

  it('may be tried anew when the files that it is trusted by are gone', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'oriel-ca-'));
    const ca = join(folder, 'ca.pem');
    await writeFile(ca, (await newClusterAuthority(Date.now())).certificate);
    const client = connect({ ...address('127.0.0.1:1'), ca }, new AbortController().signal);
    await rm(folder, { recursive: true });
    expect(await client.renew(1000)).toBe(false);
    client.close();
  });
});
