/** Throughput and latency by `wrk`, with identity headers. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

let scripts = 0;

export interface WrkOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly seconds: number;
  /** Body of a Lua script that defines `request`; `headers` is at hand in it. */
  readonly script?: string;
  /** A folder for the script. */
  readonly folder: string;
  /** The largest part of the answers that may be no 2xx. Debian's Glance fails some of several tags set at once. */
  readonly refusedAtMost?: number;
}

export interface WrkResult {
  /** 2xx answers. */
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Runs wrk once; fails when more than one answer, and more than `refusedAtMost` (one in a hundred), was no 2xx. */
export async function wrk(options: WrkOptions): Promise<WrkResult> {
  const args = ['-t1', `-c${options.connections}`, `-d${options.seconds}s`, '--timeout', '20s', '--latency'];
  for (const [name, value] of Object.entries(options.headers)) args.push('-H', `${name}: ${value}`);
  if (options.script !== undefined) {
    // Several may run at once.
    scripts += 1;
    const file = path.join(options.folder, `request-${scripts}.lua`);
    const pairs = Object.entries(options.headers).map(([name, value]) => `["${name}"]="${value}"`);
    writeFileSync(file, `local headers = {${pairs.join(',')}}\nlocal n = 0\n${options.script}\n`);
    args.push('-s', file);
  }
  const { stdout } = await promisify(execFile)('wrk', [...args, options.url]);
  const total = Number(/(\d+) requests in/.exec(stdout)?.[1] ?? '0');
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? '0');
  // A run that ended between an addition and its removal leaves one that the next run's first request meets.
  if (total === 0 || refused > Math.max(1, total * (options.refusedAtMost ?? 0.01)))
    throw new Error(`${options.url}: ${refused} of ${total} answers were no 2xx\n${stdout}`);
  return {
    perSecond: (Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]) * (total - refused)) / total,
    p50Ms: latencyMs(stdout, '50%'),
    p99Ms: latencyMs(stdout, '99%'),
  };
}

function latencyMs(output: string, percentile: string): number {
  const [, value, unit] = new RegExp(`${percentile}\\s+([\\d.]+)(us|ms|s)`).exec(output) ?? [];
  return Number(value) * (unit === 'us' ? 0.001 : unit === 's' ? 1000 : 1);
}
