import { createHash, randomBytes, randomUUID } from 'node:crypto';
import net from 'node:net';
import { expect, it } from 'vitest';
import type { Rest } from './rest.js';

const OCTETS = { 'content-type': 'application/octet-stream' };

/** The data of images (reference §6.6, §6.7, §12.8 G4–G7). */
export function dataCases(rest: Rest): void {
  it('stores bytes and gives them back', async () => {
    const caller = rest.as();
    const bytes = randomBytes(3 * 1024 * 1024 + 17);
    const { id } = await caller.create({ disk_format: 'raw', container_format: 'bare' });
    expect((await caller.get(`/v2/images/${id}/file`)).status).toBe(204);
    expect((await caller.upload(id, bytes)).status).toBe(204);
    const image = await caller.show(id);
    const md5 = createHash('md5').update(bytes).digest('hex');
    expect(image).toMatchObject({
      status: 'active',
      size: bytes.length,
      checksum: md5,
      os_hash_algo: 'sha512',
      os_hash_value: createHash('sha512').update(bytes).digest('hex'),
    });
    const answer = await caller.get(`/v2/images/${id}/file`);
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': String(bytes.length),
      'content-md5': md5,
    });
    expect(answer.bytes.equals(bytes)).toBe(true);
    expect((await caller.upload(id, bytes)).status).toBe(409);
  });

  it('takes chunked uploads, with and without a size announced', async () => {
    const caller = rest.as();
    const put = async (headers: Record<string, string>, body: string) => {
      const { id } = await caller.create({ disk_format: 'raw', container_format: 'bare' });
      const path = `/v2/images/${id}/file`;
      const answer = await caller.call({
        method: 'PUT',
        path,
        headers: { ...OCTETS, ...headers },
        body,
        chunked: true,
      });
      return [answer.status, (await caller.show(id)).status];
    };
    expect(await put({}, 'hello')).toEqual([204, 'active']);
    expect(await put({ 'x-openstack-image-size': '5' }, 'hello')).toEqual([204, 'active']);
    expect(await put({ 'x-openstack-image-size': '4' }, 'hello')).toEqual([400, 'queued']);
    expect(await put({ 'x-openstack-image-size': '6' }, 'hello')).toEqual([400, 'queued']);
    expect(await put({ 'x-openstack-image-size': 'five' }, 'hello')).toEqual([400, 'queued']);
    expect(await put({ 'x-image-meta-store': 'os_glance_staging_store' }, 'hello')).toEqual([400, 'queued']);
  });

  it('makes an image of nothing active', async () => {
    const caller = rest.as();
    const image = await caller.createActive(Buffer.alloc(0));
    expect(image).toMatchObject({ status: 'active', size: 0, checksum: 'd41d8cd98f00b204e9800998ecf8427e' });
  });

  it('refuses uploads', async () => {
    const caller = rest.as();
    const plain = await caller.create({ visibility: 'community' });
    const path = `/v2/images/${plain.id}/file`;
    expect((await caller.upload(plain.id, Buffer.from('x'))).status).toBe(400);
    expect(await caller.status('PUT', path)).toBe(415);
    expect(
      (await caller.call({ method: 'PUT', path, headers: { 'content-type': 'text/plain' }, body: 'x' })).status,
    ).toBe(415);
    expect((await rest.as().upload(plain.id, Buffer.from('x'))).status).toBe(403);
    expect((await caller.upload(randomUUID(), Buffer.from('x'))).status).toBe(404);
    expect((await caller.show(plain.id)).status).toBe('queued');
  });

  it('serves ranges', async () => {
    const caller = rest.as();
    const { id, checksum } = await caller.createActive(Buffer.from('0123456789'));
    const cases: readonly [Record<string, string>, number, string, string | undefined][] = [
      [{ range: 'bytes=2-4' }, 206, '234', 'bytes 2-4/10'],
      [{ range: 'bytes=7-99' }, 206, '789', 'bytes 7-9/10'],
      [{ range: 'bytes=8-' }, 206, '89', 'bytes 8-9/10'],
      [{ range: 'bytes=-3' }, 206, '789', 'bytes 7-9/10'],
      [{ range: 'bytes=-30' }, 206, '0123456789', 'bytes 0-9/10'],
      [{ 'content-range': 'bytes 2-4/10' }, 206, '234', 'bytes 2-4/10'],
      [{ 'content-range': 'bytes 2-4/*' }, 206, '234', 'bytes 2-4/10'],
      [{ range: 'bytes=0-4', 'if-range': '"x"' }, 200, '0123456789', undefined],
    ];
    for (const [headers, status, text, contentRange] of cases) {
      const answer = await caller.get(`/v2/images/${id}/file`, headers);
      expect([answer.status, answer.text, answer.headers['content-range']]).toEqual([status, text, contentRange]);
      expect(answer.headers['content-md5']).toBe(checksum);
    }
    for (const range of ['bytes=10-', 'bytes=x', 'lines=1-2', 'bytes=4-3', 'bytes=-0']) {
      expect([range, (await caller.get(`/v2/images/${id}/file`, { range })).status]).toEqual([range, 416]);
    }
    const status = async (headers: Record<string, string>) =>
      (await caller.get(`/v2/images/${id}/file`, headers)).status;
    expect(await status({ range: 'bytes=0-1,3-4' })).toBe(400);
    expect(await status({ 'content-range': 'bytes */10' })).toBe(400);
    expect(await status({ 'content-range': 'bytes 5-10/10' })).toBe(416);
    const { id: empty } = await caller.create();
    for (const range of ['bytes=0-1', 'nonsense']) {
      expect((await caller.get(`/v2/images/${empty}/file`, { range })).status).toBe(204);
    }
    expect((await rest.as().get(`/v2/images/${id}/file`, { range: 'nonsense' })).status).toBe(404);
    expect(await caller.status('GET', `/v2/images/${id}/file?prefer=file`)).toBe(400);
    expect((await rest.as(caller.project, 'reader').get(`/v2/images/${id}/file`)).status).toBe(403);
  });

  it('refuses before it invites, and closes', async () => {
    const caller = rest.as();
    const { id } = await caller.create();
    const answer = await rawUpload(rest.url, id, caller.project, { expect: true, body: '' });
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toMatch(/\r\nConnection: close\r\n/i);
    expect(answer).not.toContain('100 Continue');
  });

  it('invites once it is sure', async () => {
    const caller = rest.as();
    const { id } = await caller.create({ disk_format: 'raw', container_format: 'bare' });
    const answer = await rawUpload(rest.url, id, caller.project, { expect: true, body: 'hello' });
    expect(answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 204 /);
    expect(await caller.show(id)).toMatchObject({ status: 'active', size: 5 });
  });

  it('answers a refused upload that is being sent, and closes', async () => {
    const caller = rest.as();
    const { id } = await caller.create();
    const answer = await rawUpload(rest.url, id, caller.project, { expect: false, body: 'x'.repeat(100_000) });
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toMatch(/\r\nConnection: close\r\n/i);
  });
}

/** Uploads over a bare socket, announcing 1 TiB unless it waits to be invited, and returns all that came back. */
function rawUpload(
  url: string,
  id: string,
  project: string,
  options: { readonly expect: boolean; readonly body: string },
): Promise<string> {
  const { hostname, port } = new URL(url);
  const lengthBytes = options.expect ? options.body.length : 2 ** 40;
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = net.connect({ host: hostname, port: Number(port) }, () => {
      socket.write(
        `PUT /v2/images/${id}/file HTTP/1.1\r\nHost: ${hostname}:${port}\r\nX-Project-Id: ${project}\r\n` +
          `X-Roles: member\r\nContent-Type: application/octet-stream\r\nContent-Length: ${Math.max(lengthBytes, 1)}\r\n` +
          (options.expect ? 'Expect: 100-continue\r\n\r\n' : `\r\n${options.body}`),
      );
    });
    socket.on('data', (chunk) => {
      const invited = !text.includes('100 Continue');
      text += chunk.toString('latin1');
      if (invited && text.includes('100 Continue')) socket.write(options.body);
      if (text.includes('HTTP/1.1 204')) socket.end();
    });
    socket.on('close', () => resolve(text));
    socket.on('error', reject);
  });
}
