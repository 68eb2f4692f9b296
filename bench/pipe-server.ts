/** A bare node:http server that pipes what `?source=URL` names, http: or file:, to whoever asks; tells its parent its port. */
import { createReadStream } from 'node:fs';
import { createServer, get } from 'node:http';
import { fileURLToPath } from 'node:url';

const server = createServer((request, response) => {
  const source = new URL(new URL(request.url ?? '/', 'http://localhost').searchParams.get('source') ?? '');
  if (source.protocol === 'file:') createReadStream(fileURLToPath(source)).pipe(response);
  else get(source, { agent: false }, (answer) => answer.pipe(response));
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.send?.(typeof address === 'object' ? address?.port : undefined);
});
