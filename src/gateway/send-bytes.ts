import type { ServerResponse } from 'node:http';
import type { OpenedObject } from './byte-streams.js';
import type { Exchange } from './exchange.js';

export interface SendBytesOptions {
  readonly status: 200 | 206;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** How long the client may take nothing, in milliseconds. */
  readonly idleMs: number;
}

/**
 * Sends the bytes of an opened read. The next chunk is asked for only when the kernel has taken the one before, because
 * its memory is used again. Rejects when the data fails or falls short, or the client stalls; once headers were sent the
 * caller must destroy the connection then, so that a short answer never looks whole.
 */
export async function sendBytes(exchange: Exchange, read: OpenedObject, options: SendBytesOptions): Promise<void> {
  const { response } = exchange;
  const headers: string[] = ['x-openstack-request-id', exchange.requestId];
  // Exactly this type: python-glanceclient streams no other (reference §12.2 "Body vs stream").
  headers.push('Content-Type', 'application/octet-stream', 'Content-Length', String(read.lengthBytes));
  for (const [name, value] of exchange.freshness) headers.push(name, value);
  for (const [name, value] of Object.entries(options.headers)) headers.push(name, value);
  if (exchange.declaresBody && !exchange.request.complete) headers.push('Connection', 'close');
  const chunks = read.chunks[Symbol.asyncIterator]();
  try {
    // Headers go with the first chunk: a read that fails before it can still be answered with an error.
    await pump(chunks, response, { ...options, headers, lengthBytes: read.lengthBytes });
  } catch (error) {
    // Before the iterator ends, which frees the memory of a chunk that the kernel may still be taking: another read would
    // fill it, and a client that wakes up would get that.
    if (error instanceof ClientGoneError) response.destroy();
    throw error;
  } finally {
    await chunks.return?.();
  }
}

interface PumpOptions {
  readonly status: number;
  readonly headers: string[];
  readonly lengthBytes: number;
  readonly signal: AbortSignal;
  readonly idleMs: number;
}

async function pump(chunks: AsyncIterator<Uint8Array>, response: ServerResponse, options: PumpOptions): Promise<void> {
  let sentBytes = 0;
  let next = await chunks.next();
  response.writeHead(options.status, options.headers);
  while (next.done !== true) {
    sentBytes += next.value.byteLength;
    if (sentBytes > options.lengthBytes) break;
    await writeChunk(response, next.value, options);
    next = await chunks.next();
  }
  if (sentBytes !== options.lengthBytes) {
    throw new Error(`the data of an image has ${sentBytes} bytes or more where ${options.lengthBytes} were announced`);
  }
  response.end();
}

/** Resolves when the kernel has the chunk. Rejects with ClientGoneError when it is not taken. */
export function writeChunk(
  response: ServerResponse,
  chunk: Uint8Array | string,
  options: { readonly signal: AbortSignal; readonly idleMs: number },
): Promise<void> {
  const { signal, idleMs } = options;
  return new Promise((resolve, reject) => {
    const settle = (error: Error | null | undefined): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      if (error === null || error === undefined) resolve();
      else reject(error);
    };
    const onAbort = (): void => settle(new ClientGoneError('the client went away'));
    const timer = setTimeout(() => settle(new ClientGoneError(`the client took nothing for ${idleMs} ms`)), idleMs);
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort);
    response.write(chunk, settle);
  });
}

/** Ends a download whose client does not take it any more; nothing to report. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';
}
