/** The guard against real servers on loopback; a resolver that is handed in says which names they have. */
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSocketServer, type Socket } from 'node:net';
import type { AddressInfo, Server as SocketServer } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Timeouts } from '../remote/transport.js';
import { AddressRules } from './address-rules.js';
import { FetchGuard, type FetchGuardOptions, type FetchRules } from './fetch-guard.js';

const TIMEOUTS: Timeouts = { connectMs: 500, answerMs: 700, idleMs: 300, leastBytesPerSecond: 4096, backoffMs: 5 };
const OPEN: FetchRules = {
  ...{ allowedSchemes: ['http', 'https'], allowedPorts: [], allowedHosts: [] },
  ...{ allowPrivateAddresses: false, mostBytes: 1000 },
};
const FAILED = { reason: 'UNAVAILABLE', message: 'url: nothing can be fetched from there now' };

let server: Server;
let port = 0;
let answer: RequestListener;
const seen: { url: string; headers: Record<string, unknown> }[] = [];
const logged: unknown[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    seen.push({ url: request.url ?? '', headers: request.headers });
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
afterEach(() => {
  seen.length = 0;
  logged.length = 0;
});

const ok: RequestListener = (_, response) => void response.end('data');
const redirect = (location: string): RequestListener => {
  return ({ url }, response) => {
    if (url === '/end') response.end('end');
    else response.writeHead(302, { location }).end();
  };
};

/** A guard to which names are what the table says, and `good.test` is allowed. */
function guardOf(names: Readonly<Record<string, readonly string[]>> = {}, options: Partial<FetchGuardOptions> = {}) {
  return new FetchGuard({
    rules: { ...OPEN, allowedHosts: [`good.test:${port}`, `other.test:${port}`] },
    log: { info: (facts, message) => void logged.push(facts, message) },
    timeouts: TIMEOUTS,
    resolve: (host) => Promise.resolve(names[host] ?? ['127.0.0.1']),
    ...options,
  });
}

async function textOf(guard: FetchGuard, url: string, headers: Record<string, string> = {}): Promise<string> {
  const { body } = await guard.open({ method: 'GET', url, headers });
  const parts: string[] = [];
  for await (const chunk of body) parts.push(String(chunk));
  return parts.join('');
}

describe('addresses', () => {
  it.each([
    ['loopback', '127.0.0.1'],
    ['loopback in IPv6', '::1'],
    ['metadata', '169.254.169.254'],
    ['private', '10.0.0.1'],
    ['IPv4-mapped', '::ffff:127.0.0.1'],
    ['unspecified', '0.0.0.0'],
  ])('refuses a name that has a %s address, before a connection', async (_, address) => {
    answer = ok;
    const guard = guardOf({ 'bad.test': [address] });
    await expect(textOf(guard, `http://bad.test:${port}/`)).rejects.toMatchObject(FAILED);
    expect(seen).toEqual([]);
  });

  it('refuses addresses that are written in the URL', async () => {
    answer = ok;
    for (const host of ['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '0.0.0.0', '169.254.169.254'])
      await expect(textOf(guardOf(), `http://${host}:${port}/`), host).rejects.toMatchObject(FAILED);
    expect(seen).toEqual([]);
  });

  it('wants every answer of the name server to pass', async () => {
    answer = ok;
    const guard = guardOf({ 'mixed.test': ['8.8.8.8', '127.0.0.1'], 'none.test': [] });
    await expect(textOf(guard, `http://mixed.test:${port}/`)).rejects.toMatchObject(FAILED);
    await expect(textOf(guard, `http://none.test:${port}/`)).rejects.toMatchObject(FAILED);
    expect(seen).toEqual([]);
  });

  it('refuses this machine, whatever address it has', async () => {
    answer = ok;
    const addresses = new AddressRules({ allowPrivate: true, own: () => ['8.8.8.8'] });
    await expect(textOf(guardOf({}, { addresses }), `http://8.8.8.8:${port}/`)).rejects.toMatchObject(FAILED);
  });

  it('DNS rebinding: connects to the address that was checked, keeps the Host, and asks for it once', async () => {
    answer = (request, response) =>
      void response.end(`${request.socket.localAddress ?? ''} ${request.headers.host ?? ''}`);
    let asked = 0;
    const guard = guardOf(
      {},
      {
        // All of 127.0.0.0/8 is this machine; here the second of them stands for an address outside.
        addresses: { refusal: (address) => (address === '127.0.0.2' ? undefined : 'inside') },
        resolve: () => Promise.resolve([++asked === 1 ? '127.0.0.2' : '127.0.0.1']),
      },
    );
    expect(await textOf(guard, `http://turns.test:${port}/`)).toMatch(
      new RegExp(`127\\.0\\.0\\.2 turns\\.test:${port}$`),
    );
    expect(asked).toBe(1);
    await expect(textOf(guard, `http://turned.test:${port}/`)).rejects.toMatchObject(FAILED);
    expect(seen.length).toBe(1);
  });

  it('lets allowed hosts past the address rules, on that port alone', async () => {
    answer = ok;
    expect(await textOf(guardOf(), `http://good.test:${port}/`)).toBe('data');
    const elsewhere = guardOf({}, { rules: { ...OPEN, allowedHosts: ['good.test:1'] } });
    await expect(textOf(elsewhere, `http://good.test:${port}/`)).rejects.toMatchObject(FAILED);
    const otherPort = guardOf({}, { rules: { ...OPEN, allowedHosts: ['good.test'], allowedPorts: [80] } });
    await expect(textOf(otherPort, `http://good.test:${port}/`)).rejects.toMatchObject({ reason: 'INVALID_ARGUMENT' });
  });

  it('does not use the proxies of the environment', async () => {
    answer = ok;
    const names = ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY'];
    for (const name of names) process.env[name] = 'http://127.0.0.1:1/';
    try {
      expect(await textOf(guardOf(), `http://good.test:${port}/`)).toBe('data');
    } finally {
      // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- the environment has no other way
      for (const name of names) delete process.env[name];
    }
  });
});

describe('redirects', () => {
  it.each([
    ['loopback', () => `http://127.0.0.1:${port}/end`],
    ['a name with an inside address', () => `http://inside.test:${port}/end`],
    ['the metadata service', () => 'http://169.254.169.254/latest/meta-data/'],
    ['a short form of loopback', () => `http://127.1:${port}/end`],
    ['a number', () => `//2130706433:${port}/end`],
    ['a file', () => 'file:///etc/passwd'],
    ['a user', () => `http://me:secret@good.test:${port}/end`],
    ['nothing that is a URL', () => 'http://[/'],
    ['another host by a backslash', () => `\\\\127.0.0.1:${port}\\end`],
  ])('refuses one to %s', async (_, to) => {
    answer = redirect(to());
    await expect(textOf(guardOf(), `http://good.test:${port}/`)).rejects.toMatchObject(FAILED);
    expect(seen.map(({ url }) => url)).toEqual(['/']);
  });

  it('follows three and no fourth, relative ones too', async () => {
    answer = ({ url = '' }, response) => {
      const turn = Number(url.slice(1));
      if (turn === 0) response.end('end');
      else
        response
          .writeHead(307, { location: turn % 2 === 0 ? `http://other.test:${port}/${turn - 1}` : `/${turn - 1}` })
          .end();
    };
    expect(await textOf(guardOf(), `http://good.test:${port}/3`)).toBe('end');
    await expect(textOf(guardOf(), `http://good.test:${port}/4`)).rejects.toMatchObject(FAILED);
  });

  it('checks the port of each', async () => {
    answer = redirect('http://good.test:22/end');
    const guard = guardOf({}, { rules: { ...OPEN, allowedHosts: ['good.test'], allowedPorts: [port] } });
    await expect(textOf(guard, `http://good.test:${port}/`)).rejects.toMatchObject(FAILED);
  });

  it('drops what says who asks on the way to another host, and keeps the range', async () => {
    answer = redirect(`http://other.test:${port}/end`);
    const secret = { authorization: 'Bearer s3cret', cookie: 'c=1', 'x-auth-token': 't', range: 'bytes=0-0' };
    expect(await textOf(guardOf(), `http://good.test:${port}/`, secret)).toBe('end');
    expect(seen[0]?.headers).toMatchObject(secret);
    expect(seen[1]?.headers).toMatchObject({ range: 'bytes=0-0' });
    for (const name of ['authorization', 'cookie', 'x-auth-token']) expect(seen[1]?.headers).not.toHaveProperty(name);
  });
});

describe('answers', () => {
  it('refuses what says that it is larger than an image may be, and ends what is larger', async () => {
    answer = (_, response) => void response.writeHead(200, { 'content-length': 1001 }).end(Buffer.alloc(1001));
    await expect(textOf(guardOf(), `http://good.test:${port}/`)).rejects.toMatchObject({ reason: 'LIMIT_EXCEEDED' });
    let sentBytes = 0;
    answer = (_, response) => {
      const send = (): void => {
        while (!response.destroyed && sentBytes < 64 * 1024 * 1024 && response.write(Buffer.alloc(500)))
          sentBytes += 500;
      };
      response.on('drain', send);
      send();
    };
    await expect(textOf(guardOf(), `http://good.test:${port}/`)).rejects.toThrow();
    expect(sentBytes).toBeLessThan(64 * 1024 * 1024);
  });

  it('asks for no encoding and takes none', async () => {
    answer = (_, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end('x');
    await expect(textOf(guardOf(), `http://good.test:${port}/`)).rejects.toMatchObject(FAILED);
    expect(seen[0]?.headers).toMatchObject({ 'accept-encoding': 'identity' });
  });

  it('has its connections for looks when readers hold all others', async () => {
    answer = ({ method }, response) => {
      if (method === 'HEAD') response.writeHead(200, { 'content-length': '9' }).end();
      else response.writeHead(200, { 'content-length': '9' }).write('x');
    };
    const guard = guardOf({}, { timeouts: { ...TIMEOUTS, idleMs: 60_000 } });
    const url = `http://good.test:${port}/`;
    const held = await Promise.all(Array.from({ length: 64 }, () => guard.open({ method: 'GET', url })));
    try {
      await expect(guard.open({ method: 'GET', url })).rejects.toMatchObject(FAILED);
      expect((await guard.open({ method: 'HEAD', url, isLook: true })).status).toBe(200);
    } finally {
      for (const { body } of held) body.on('error', () => undefined).destroy();
    }
  });

  it('ends with the reason of the signal', async () => {
    answer = () => undefined;
    const controller = new AbortController();
    const opened = guardOf().open({ method: 'GET', url: `http://good.test:${port}/`, signal: controller.signal });
    controller.abort(new Error('the caller left'));
    await expect(opened).rejects.toThrow('the caller left');
  });
});

describe('a server that wastes time', () => {
  let wasting: SocketServer;
  const sockets = new Set<Socket>();
  let behave: (socket: Socket) => void = () => undefined;
  beforeAll(async () => {
    wasting = createSocketServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      behave(socket);
    });
    await new Promise<void>((resolve) => wasting.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => wasting.close(resolve));
  });
  const urlOf = (): string => `http://slow.test:${(wasting.address() as AddressInfo).port}/`;
  const guard = (options: Partial<FetchGuardOptions> = {}) =>
    guardOf({}, { rules: { ...OPEN, mostBytes: 1e9, allowedHosts: ['slow.test'] }, ...options });
  const trickle = (socket: Socket, text: string): void => {
    const timer = setInterval(() => socket.destroyed || socket.write(text), 20);
    socket.on('close', () => clearInterval(timer));
  };

  it.each<[string, (socket: Socket) => void]>([
    ['says nothing', () => undefined],
    ['gives its head a letter at a time (slow loris)', (socket) => trickle(socket, 'x')],
    [
      'gives one header after the other',
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\n');
        trickle(socket, 'a: b\r\n');
      },
    ],
    ['breaks off', (socket) => socket.end('HTTP/1.1 200')],
    ['speaks no HTTP and says who it is', (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')],
  ])('that %s fails as any other does', async (_, how) => {
    behave = how;
    const failure: unknown = await textOf(guard(), urlOf()).catch((error: unknown) => error);
    expect(failure).toMatchObject(FAILED);
    expect(String(failure)).not.toMatch(/SSH|slow\.test/);
  });

  it('that stops in the middle of a body, or goes on for ever, is left', async () => {
    behave = (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx');
    await expect(textOf(guard(), urlOf())).rejects.toThrow();
    behave = (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      trickle(socket, 'y');
    };
    await expect(textOf(guard({ totalMs: 500 }), urlOf())).rejects.toThrow('took too long');
  });

  it('CVE-2017-7200: says the same of a port that is closed, and of a name that is none', async () => {
    await expect(textOf(guard(), 'http://slow.test:1/')).rejects.toMatchObject(FAILED);
    const unknown = guard({ resolve: () => Promise.reject(new Error('ENOTFOUND')) });
    await expect(textOf(unknown, 'http://unknown.test/')).rejects.toMatchObject(FAILED);
    expect(JSON.stringify(logged)).toContain('slow.test');
  });
});
