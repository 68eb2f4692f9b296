/**
 * Loaded for its effect by each entry file: positions in stacks are those of the sources, not of the bundle.
 *
 * Node's own `--enable-source-maps` reads and parses every map when its module is loaded, which is a fifth of a start; here
 * a map is read when a stack first names its file (docs/decisions/0050).
 */
import { readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { fileURLToPath } from 'node:url';

/** A position as V8 writes it, such as `file:///opt/oriel/dist/program/bin/serve.js:12:5`; other files are left alone. */
const POSITION = /(file:\/\/[^\s()]+\.js):(\d+):(\d+)/g;

const maps = new Map<string, SourceMap | undefined>();

Error.prepareStackTrace = (error, frames) => {
  const head = Error.prototype.toString.call(error);
  // eslint-disable-next-line @typescript-eslint/no-base-to-string -- V8 gives a CallSite toString, which its type lacks
  return [head, ...frames.map((frame) => `    at ${readablePosition(String(frame))}`)].join('\n');
};

/** Replaces the positions in a line of a stack by those of the sources, where a map lies beside the file. */
function readablePosition(line: string): string {
  return line.replace(POSITION, (position, url: string, lineNumber: string, column: string) => {
    const entry = mapOf(url)?.findEntry(Number(lineNumber) - 1, Number(column) - 1);
    if (entry === undefined || !('originalSource' in entry)) return position;
    const source = fileURLToPath(new URL(entry.originalSource, url));
    return `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  });
}

function mapOf(url: string): SourceMap | undefined {
  if (!maps.has(url)) maps.set(url, readMap(url));
  return maps.get(url);
}

function readMap(url: string): SourceMap | undefined {
  try {
    const payload: unknown = JSON.parse(readFileSync(new URL(`${url}.map`), 'utf8'));
    return isMap(payload) ? new SourceMap(payload) : undefined;
  } catch {
    // A stack without its map is better than none.
    return undefined;
  }
}

function isMap(payload: unknown): payload is SourceMapPayload {
  return typeof payload === 'object' && payload !== null && 'mappings' in payload && 'sources' in payload;
}
