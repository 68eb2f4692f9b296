import { request } from 'node:http';

/** What a client of `sqld` that is none of ours gets: the status and the text of the answer. */
export async function rawHrana(
  port: number,
  token: string | undefined,
  statements: readonly string[],
  baton: string | null = null,
): Promise<{ readonly status: number; readonly text: string }> {
  const requests = statements.map((sql) => ({ type: 'execute', stmt: { sql } }));
  const headers = {
    'content-type': 'application/json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  return await new Promise((resolve, reject) => {
    const path = '/v3/pipeline';
    const call = request({ host: '127.0.0.1', port, path, method: 'POST', headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    call.on('error', reject);
    call.end(JSON.stringify({ baton, requests }));
  });
}
