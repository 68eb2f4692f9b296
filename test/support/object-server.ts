/**
 * A small object server that misbehaves on demand: enough of S3 and of Swift for one store, in memory. `trouble` says what
 * happens to a request instead of the right answer.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Trouble =
  | { readonly status: number; readonly body?: string; readonly headers?: Readonly<Record<string, string>> }
  /** No answer at all, or none any more. */
  | { readonly kind: 'stall' | 'reset' }
  /** The work is done, the answer is lost. */
  | { readonly kind: 'lose-answer' }
  /** The connection breaks after so many bytes of the request. */
  | { readonly kind: 'break-request'; readonly afterBytes: number }
  /** The answer ends, stalls or trickles after so many bytes. */
  | { readonly kind: 'break-answer' | 'stall-answer' | 'trickle-answer'; readonly afterBytes: number }
  /** The answer says that it has so many bytes. */
  | { readonly kind: 'claim-length'; readonly lengthBytes: number };

export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
}

export interface ObjectServer {
  readonly url: string;
  /** By path, such as `/bucket/key`. */
  readonly objects: Map<string, Buffer>;
  readonly uploads: Map<string, Map<number, Buffer>>;
  readonly requests: SeenRequest[];
  trouble: (request: SeenRequest, count: number) => Trouble | undefined;
  close(): Promise<void>;
}

export async function startObjectServer(): Promise<ObjectServer> {
  const objects = new Map<string, Buffer>();
  const marks = new Map<string, string>();
  const uploads = new Map<string, Map<number, Buffer>>();
  const requests: SeenRequest[] = [];
  const http = createServer((request, response) => {
    const seen = { method: request.method ?? '', url: request.url ?? '', headers: request.headers };
    requests.push(seen);
    const trouble = server.trouble(seen, requests.length);
    answer({ objects, marks, uploads }, { request, response, trouble }).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const server: ObjectServer = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    ...{ objects, uploads, requests, trouble: () => undefined },
    close: async () => {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
  return server;
}

interface State {
  readonly objects: Map<string, Buffer>;
  readonly marks: Map<string, string>;
  readonly uploads: Map<string, Map<number, Buffer>>;
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly trouble: Trouble | undefined;
}

async function answer(state: State, exchange: Exchange): Promise<void> {
  const { request, response, trouble } = exchange;
  if (trouble !== undefined && 'kind' in trouble && trouble.kind === 'reset') return void request.socket.destroy();
  const parts: Buffer[] = [];
  let cameBytes = 0;
  for await (const part of request) {
    parts.push(part as Buffer);
    cameBytes += (part as Buffer).length;
    if (
      trouble !== undefined &&
      'kind' in trouble &&
      trouble.kind === 'break-request' &&
      cameBytes > trouble.afterBytes
    )
      return void request.socket.destroy();
  }
  if (trouble !== undefined && 'status' in trouble)
    return void response.writeHead(trouble.status, trouble.headers).end(trouble.body);
  if (trouble !== undefined && 'kind' in trouble && trouble.kind === 'stall') return;
  const done = handle(state, request, Buffer.concat(parts));
  if (trouble === undefined || !('kind' in trouble)) {
    response.writeHead(done.status, done.headers).end(request.method === 'HEAD' ? undefined : done.body);
    return;
  }
  if (trouble.kind === 'lose-answer') return void request.socket.destroy();
  if (trouble.kind === 'claim-length') {
    response.writeHead(done.status, { ...done.headers, 'content-length': trouble.lengthBytes });
    response.end(done.body);
    return;
  }
  if (!('afterBytes' in trouble)) return;
  response.writeHead(done.status, done.headers);
  await new Promise((resolve) => response.write(done.body.subarray(0, trouble.afterBytes), resolve));
  if (trouble.kind === 'break-answer') response.destroy();
  if (trouble.kind === 'trickle-answer') {
    for (const byte of done.body.subarray(trouble.afterBytes)) {
      response.write(Buffer.from([byte]));
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (response.destroyed) return;
    }
  }
}

interface Done {
  readonly status: number;
  readonly headers: Record<string, string | number>;
  readonly body: Buffer;
}

function handle({ objects, marks, uploads }: State, request: IncomingMessage, body: Buffer): Done {
  const url = new URL(request.url ?? '', 'http://server');
  const { pathname: path, searchParams: query } = url;
  const method = request.method ?? '';
  const uploadId = query.get('uploadId');
  const say = (status: number, text = '', headers: Record<string, string | number> = {}): Done => ({
    ...{ status, body: Buffer.from(text) },
    headers: { 'content-length': Buffer.byteLength(text), ...headers },
  });
  if (path === '/auth')
    return say(200, '', { 'x-auth-token': 'token', 'x-storage-url': `http://${request.headers.host ?? ''}` });
  if (path.split('/').length < 3) {
    if (!query.has('uploads')) return say(method === 'HEAD' ? 200 : 204);
    const list = [...uploads.keys()].map(
      (id) => `<Upload><Key>${query.get('prefix') ?? ''}</Key><UploadId>${id}</UploadId></Upload>`,
    );
    return say(200, `<ListMultipartUploadsResult>${list.join('')}</ListMultipartUploadsResult>`);
  }
  if (query.has('uploads')) {
    const id = `upload-${uploads.size + 1}`;
    uploads.set(id, new Map());
    marks.set(id, markOf(request));
    return say(200, `<R><UploadId>${id}</UploadId></R>`);
  }
  if (uploadId !== null) {
    const upload = uploads.get(uploadId);
    if (upload === undefined) return say(404, '<Error><Code>NoSuchUpload</Code></Error>');
    if (method === 'PUT') {
      upload.set(Number(query.get('partNumber')), body);
      return say(200, '', { etag: etagOf(body) });
    }
    uploads.delete(uploadId);
    if (method === 'DELETE') return say(204);
    objects.set(path, Buffer.concat([...upload].sort(([a], [b]) => a - b).map(([, part]) => part)));
    marks.set(path, marks.get(uploadId) ?? '');
    return say(200, '<R></R>');
  }
  if (method === 'PUT') {
    if (request.headers['if-none-match'] === '*' && objects.has(path)) return say(412);
    objects.set(path, body);
    marks.set(path, markOf(request));
    return say(request.headers['x-auth-token'] === undefined ? 200 : 201, '', { etag: etagOf(body) });
  }
  const found = objects.get(path);
  if (found === undefined) return say(404);
  if (method === 'DELETE') {
    objects.delete(path);
    return say(204);
  }
  return ranged(found, request, { etag: etagOf(found), 'x-amz-meta-oriel-put': marks.get(path) ?? '' });
}

function ranged(found: Buffer, request: IncomingMessage, headers: Record<string, string>): Done {
  const wanted = request.headers['if-match'];
  if (wanted !== undefined && wanted !== headers['etag'])
    return { status: 412, headers: { 'content-length': 0 }, body: Buffer.alloc(0) };
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  if (first === undefined) return { status: 200, headers: { ...headers, 'content-length': found.length }, body: found };
  if (Number(first) >= found.length) return { status: 416, headers: { 'content-length': 0 }, body: Buffer.alloc(0) };
  const end = Math.min(Number(last) + 1, found.length);
  const body = found.subarray(Number(first), end);
  const range = `bytes ${first}-${end - 1}/${found.length}`;
  return { status: 206, headers: { ...headers, 'content-range': range, 'content-length': body.length }, body };
}

function etagOf(body: Buffer): string {
  return `"${createHash('md5').update(body).digest('hex')}"`;
}

function markOf(request: IncomingMessage): string {
  const mark = request.headers['x-amz-meta-oriel-put'] ?? request.headers['x-object-meta-oriel-put'];
  return typeof mark === 'string' ? mark : '';
}
