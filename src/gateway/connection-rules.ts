import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { errorBody } from './error-answer.js';
import { newRequestId } from './request-id.js';

/** Statuses for what node's parser refuses before there is a request. */
const PARSER_ERRORS: Readonly<Record<string, { readonly status: string; readonly message: string }>> = {
  HPE_HEADER_OVERFLOW: { status: '431 Request Header Fields Too Large', message: 'The headers are too long.' },
  ERR_HTTP_REQUEST_TIMEOUT: { status: '408 Request Timeout', message: 'The headers took too long.' },
};

/**
 * Rules of the connection, below routing: `Expect: 100-continue` is answered by who reads the body and not by node (reference
 * §12.8 G5), other expectations and what is not HTTP get an answer of ours.
 */
export function installConnectionRules(server: Server): void {
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    server.emit('request', request, response);
  });
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    const { body, contentType } = errorBody(417, 'Expect: expected 100-continue.', request.headers.accept);
    response.writeHead(417, {
      'x-openstack-request-id': newRequestId(),
      'Content-Type': contentType,
      'Content-Length': Buffer.byteLength(body),
      Connection: 'close',
    });
    response.end(body);
  });
  server.removeAllListeners('clientError');
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (!socket.writable || error.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    const known = PARSER_ERRORS[error.code ?? ''];
    const status = known?.status ?? '400 Bad Request';
    const body = `${status}\n\n${known?.message ?? 'The request is not valid HTTP.'}\n`;
    socket.end(
      `HTTP/1.1 ${status}\r\nx-openstack-request-id: ${newRequestId()}\r\n` +
        `Content-Type: text/plain; charset=UTF-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
        `Connection: close\r\n\r\n${body}`,
    );
  });
}
