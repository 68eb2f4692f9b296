/**
 * A TCP proxy that stands for a network: it delays what passes, one way each, and can be cut and healed.
 *
 *   whole --cut('hang')--> bytes stay where they are, both ways, as in a network that drops packets --heal--> they go on
 *   whole --cut('lose')--> as 'hang' --heal--> new connections pass, those of before stay dead, as between the kernel's pauses
 *   whole --cut('reset')--> connections are reset, new ones too --heal--> new ones pass
 */
import { createConnection, createServer, type Socket } from 'node:net';

/** What is on the way at most in one direction of a connection: 16 MiB are 320 MB/s at 50 ms. */
const ON_THE_WAY_BYTES = 16 * 1024 * 1024;

export type Cut = 'hang' | 'lose' | 'reset';

export interface CuttingProxy {
  readonly port: number;
  /** `127.0.0.1:PORT` */
  readonly address: string;
  /** How long bytes take one way, in milliseconds, from now on. */
  setDelay(oneWayMs: number): void;
  cut(how: Cut): void;
  heal(): void;
  close(): Promise<void>;
}

export interface ProxyOptions {
  /** What is reached through it, on the loopback unless told; asked at each connection, so that it may move. */
  readonly target: () => { readonly host?: string; readonly port: number };
  readonly oneWayMs?: number;
  /** 0, a free one, unless told. */
  readonly port?: number;
}

/** Starts a proxy on the loopback. */
export async function startCuttingProxy(options: ProxyOptions): Promise<CuttingProxy> {
  const line = { oneWayMs: options.oneWayMs ?? 0, cut: undefined as Cut | undefined };
  const connections = new Set<Connection>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    if (line.cut === 'reset') {
      near.resetAndDestroy();
      return;
    }
    const connection = new Connection(near, options.target(), line, () => connections.delete(connection));
    connections.add(connection);
    if (line.cut === 'lose') connection.lose();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a listening TCP server has an address');
  return {
    port: address.port,
    address: `127.0.0.1:${address.port}`,
    setDelay(oneWayMs) {
      line.oneWayMs = oneWayMs;
    },
    cut(how) {
      line.cut = how;
      for (const connection of connections) {
        if (how === 'reset') connection.reset();
        else if (how === 'lose') connection.lose();
        else connection.pump();
      }
    },
    heal() {
      line.cut = undefined;
      for (const connection of connections) connection.pump();
    },
    async close() {
      for (const connection of connections) connection.reset();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Line {
  readonly oneWayMs: number;
  readonly cut: Cut | undefined;
}

class Connection {
  readonly #near: Socket;
  readonly #far: Socket;
  readonly #ways: readonly OneWay[];

  constructor(near: Socket, target: { readonly host?: string; readonly port: number }, line: Line, ended: () => void) {
    this.#near = near;
    this.#far = createConnection({ host: '127.0.0.1', ...target, allowHalfOpen: true, noDelay: true });
    this.#ways = [new OneWay(near, this.#far, line), new OneWay(this.#far, near, line)];
    for (const socket of [near, this.#far]) {
      // What one end does not hear of, the other does: a broken half ends both.
      socket.on('error', () => this.reset());
      socket.on('close', () => {
        if (near.destroyed && this.#far.destroyed) ended();
      });
    }
  }

  reset(): void {
    for (const way of this.#ways) way.stop();
    this.#near.resetAndDestroy();
    this.#far.resetAndDestroy();
  }

  pump(): void {
    for (const way of this.#ways) way.pump();
  }

  /** From now on nothing passes, whatever becomes of the line; neither end hears of it. */
  lose(): void {
    for (const way of this.#ways) way.lose();
  }
}

/** One direction: chunks wait until they are due; the end of the stream waits in its turn. */
class OneWay {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #line: Line;
  readonly #queue: { readonly dueMs: number; readonly chunk: Buffer | undefined }[] = [];
  #bytes = 0;
  #lost = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, line: Line) {
    this.#from = from;
    this.#to = to;
    this.#line = line;
    from.on('data', (chunk: Buffer) => this.#take(chunk));
    from.on('end', () => this.#take(undefined));
    to.on('drain', () => this.pump());
    if (line.cut !== undefined) from.pause();
  }

  /** Passes on what is due, unless the line is cut. */
  pump(): void {
    clearTimeout(this.#timer);
    if (this.#line.cut !== undefined || this.#lost) {
      this.#from.pause();
      return;
    }
    for (;;) {
      const next = this.#queue[0];
      if (next === undefined || this.#to.destroyed || this.#to.writableNeedDrain) break;
      const inMs = next.dueMs - performance.now();
      if (inMs > 0) {
        this.#timer = setTimeout(() => this.pump(), inMs);
        break;
      }
      this.#queue.shift();
      this.#bytes -= next.chunk?.byteLength ?? 0;
      if (next.chunk === undefined) this.#to.end();
      else this.#to.write(next.chunk);
    }
    if (this.#bytes < ON_THE_WAY_BYTES) this.#from.resume();
  }

  lose(): void {
    this.#lost = true;
    this.pump();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#queue.length = 0;
  }

  #take(chunk: Buffer | undefined): void {
    this.#queue.push({ dueMs: performance.now() + this.#line.oneWayMs, chunk });
    this.#bytes += chunk?.byteLength ?? 0;
    if (this.#bytes >= ON_THE_WAY_BYTES) this.#from.pause();
    this.pump();
  }
}
