/** The admin interface of `sqld`: HTTP on loopback, with a key made for each run. */
import { request } from 'node:http';

const CONFIG_PATH = '/v1/namespaces/default/config';
const TIMEOUT_MS = 5000;

/**
 * Makes commits durable: by default `sqld` syncs no commit to the disk. The setting outlives a restart, but a restored or
 * adopted folder may have another, so each start sets and reads it back. Resolves to what is in force.
 */
export async function makeDurable(port: number, key: string): Promise<string> {
  const config: unknown = JSON.parse(await call({ port, key, method: 'GET' }));
  if (typeof config !== 'object' || config === null) throw new Error('expected the configuration as an object');
  await call({ port, key, method: 'POST', body: JSON.stringify({ ...config, durability_mode: 'strong' }) });
  return await durabilityOf(port, key);
}

/** How durable a commit is: `relaxed` or `strong`. */
export async function durabilityOf(port: number, key: string): Promise<string> {
  const config: unknown = JSON.parse(await call({ port, key, method: 'GET' }));
  const mode: unknown = typeof config === 'object' && config !== null ? Reflect.get(config, 'durability_mode') : '';
  return typeof mode === 'string' ? mode : 'unknown';
}

interface Call {
  readonly port: number;
  readonly key: string;
  readonly method: 'GET' | 'POST';
  readonly body?: string;
}

function call({ port, key, method, body }: Call): Promise<string> {
  return new Promise((resolve, reject) => {
    // The key goes as it is, not in base64 as the scheme would have it (reference libsql.md, section 5).
    const headers = {
      authorization: `basic ${key}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const sent = request({ host: '127.0.0.1', port, path: CONFIG_PATH, method, headers, signal, agent: false });
    sent.on('error', reject);
    sent.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`${method} ${CONFIG_PATH}: HTTP ${response.statusCode ?? 0}: ${text.slice(0, 200)}`));
      });
    });
    sent.end(body);
  });
}
