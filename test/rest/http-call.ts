/** One HTTP exchange, as raw as tests need it: any body on any method, headers as sent, no redirects followed. */
import http from 'node:http';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
}

export interface HttpCall {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON; `chunked` sends the text without its length. */
  readonly body?: unknown;
  readonly chunked?: boolean;
}

/** Sends a request on a connection of its own and returns the whole answer. */
export function httpCall(url: string, call: HttpCall): Promise<HttpAnswer> {
  const { hostname, port } = new URL(url);
  const body = bodyOf(call.body);
  const headers: Record<string, string> = { ...call.headers };
  if (body !== undefined && call.chunked !== true) headers['content-length'] = String(body.byteLength);
  if (call.chunked === true) headers['transfer-encoding'] = 'chunked';
  return new Promise((resolve, reject) => {
    const options = { hostname, port, path: call.path, method: call.method ?? 'GET', headers, agent: false };
    const request = http.request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const bytes = Buffer.concat(chunks);
        resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes, text: bytes.toString('utf8') });
      });
    });
    request.once('error', reject);
    request.end(body);
  });
}

function bodyOf(body: unknown): Buffer | undefined {
  if (body === undefined) return undefined;
  if (Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}
