import { type Answer, JSON_TYPE } from './answer.js';
import type { Exchange } from './exchange.js';

/** How long, and over how many bytes, a refused body is still read so that the client gets to see the answer. */
const DRAIN_MS = 1_000;
const DRAIN_BYTES = 4 * 1024 * 1024;

/**
 * Writes an answer. When the request has a body that nobody read to its end, the connection closes after a short drain:
 * nobody reads 1 TiB to be polite, and a connection closed over unread bytes is reset, which would take the answer with
 * it (reference §12.8 G6, G25).
 */
export function sendAnswer(exchange: Exchange, answer: Answer): void {
  const { request, response } = exchange;
  if (response.destroyed || response.headersSent) return;
  const headers = answerHeaders(exchange, answer);
  if (!exchange.declaresBody || request.complete) {
    response.writeHead(answer.status, headers);
    response.end(answer.body);
    return;
  }
  headers.push('Connection', 'close');
  response.writeHead(answer.status, headers);
  if (exchange.waitsForContinue) {
    response.end(answer.body);
    return;
  }
  if (answer.body === undefined) response.flushHeaders();
  else response.write(answer.body);
  drain(exchange);
}

function answerHeaders(exchange: Exchange, answer: Answer): string[] {
  const headers: string[] = ['x-openstack-request-id', exchange.requestId];
  if (answer.body !== undefined) {
    const contentType = answer.contentType ?? JSON_TYPE;
    headers.push('Content-Type', contentType);
    if (contentType === JSON_TYPE) headers.push('X-Content-Type-Options', 'nosniff');
    headers.push('Content-Length', String(Buffer.byteLength(answer.body)));
  } else if (answer.status !== 204) {
    headers.push('Content-Length', '0');
  }
  for (const [name, value] of exchange.freshness) headers.push(name, value);
  if (answer.headers !== undefined) {
    for (const [name, value] of Object.entries(answer.headers)) headers.push(name, value);
  }
  return headers;
}

/** Reads and drops what still comes, then ends the answer, whereupon node closes the connection. */
function drain(exchange: Exchange): void {
  const { request, response } = exchange;
  let drainedBytes = 0;
  const finish = (): void => {
    clearTimeout(timer);
    request.off('data', count);
    request.off('end', finish);
    request.off('close', finish);
    if (!response.writableEnded) response.end();
  };
  const count = (chunk: Uint8Array): void => {
    drainedBytes += chunk.byteLength;
    if (drainedBytes > DRAIN_BYTES) finish();
  };
  const timer = setTimeout(finish, DRAIN_MS);
  request.on('data', count);
  request.once('end', finish);
  request.once('close', finish);
  request.resume();
}
