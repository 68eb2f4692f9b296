/**
 * One object on its way into Swift: a single PUT, or segments and then the manifest of a static large object, which
 * publishes them (Swift, "Static Large Objects"). A mark of this put tells our own object from another's when the answer to
 * a publication was lost.
 */
import { createHash, randomUUID } from 'node:crypto';
import type { ObjectKey } from '../../base/brand.js';
import type { Answer, Backend, BackendCall } from '../remote/backend.js';
import type { Part, PartSink } from '../remote/part-upload.js';
import type { SwiftContainers } from './swift-containers.js';
import { numbered, segmentsPrefix, type SwiftPlaces } from './swift-places.js';

const MARK = 'x-object-meta-oriel-put';
/** `max_manifest_segments` of Swift is 1000 by default; a manifest may list manifests. */
const MOST_ENTRIES = 1000;
/** Swift looks at each segment that a manifest lists before it answers. */
const MANIFEST_MS = 5 * 60_000;

interface Entry {
  readonly path: string;
  readonly etag: string;
  readonly size_bytes: number;
}

export interface SwiftUploadOptions {
  readonly backend: Backend;
  readonly containers: SwiftContainers;
  readonly places: SwiftPlaces;
  readonly key: ObjectKey;
  /** Prefixes of the puts that run. */
  readonly running: Set<string>;
}

export class SwiftUpload implements PartSink {
  readonly hash = 'md5';
  readonly #options: SwiftUploadOptions;
  readonly #mark = randomUUID();
  /** What the names of this put's segments start with. */
  readonly #prefix: string;
  readonly #segments: Entry[] = [];

  constructor(options: SwiftUploadOptions) {
    this.#options = options;
    this.#prefix = `${segmentsPrefix(options.key)}${this.#mark}/`;
  }

  async whole(part: Part, signal: AbortSignal): Promise<void> {
    await this.#publish({
      ...{ method: 'PUT', path: this.#objectPath, body: part, doing: 'writing', accept: [201], signal },
      headers: { etag: part.digest.toString('hex'), 'content-type': 'application/octet-stream' },
    });
  }

  begin(): Promise<void> {
    this.#options.running.add(this.#prefix);
    return Promise.resolve();
  }

  async send(part: Part, signal: AbortSignal): Promise<void> {
    const path = this.#segmentPath(numbered(part.number));
    const etag = part.digest.toString('hex');
    const headers = { etag, 'content-type': 'application/octet-stream' };
    const doing = `writing segment ${part.number}`;
    const answer = await this.#put({ method: 'PUT', path, headers, body: part, doing, accept: [201], signal });
    this.#checkEtag(answer, etag, doing);
    this.#segments[part.number - 1] = { path, etag, size_bytes: part.sizeBytes };
  }

  async finish(signal: AbortSignal): Promise<void> {
    let entries: readonly Entry[] = this.#segments;
    if (entries.length > MOST_ENTRIES) {
      const groups: Entry[] = [];
      for (let at = 0; at < entries.length; at += MOST_ENTRIES) {
        const path = this.#segmentPath(`manifest-${numbered(groups.length + 1)}`);
        groups.push(await this.#putManifest(path, entries.slice(at, at + MOST_ENTRIES), signal));
      }
      entries = groups;
    }
    await this.#putManifest(this.#objectPath, entries, signal);
    this.#options.running.delete(this.#prefix);
  }

  async giveUp(): Promise<void> {
    const { containers, running } = this.#options;
    running.delete(this.#prefix);
    await containers.clear(this.#prefix);
  }

  get #objectPath(): string {
    return `${this.#options.places.container}/${this.#options.key}`;
  }

  #segmentPath(name: string): string {
    return `${this.#options.places.segments}/${this.#prefix}${name}`;
  }

  async #putManifest(path: string, entries: readonly Entry[], signal: AbortSignal): Promise<Entry> {
    const bytes = Buffer.from(JSON.stringify(entries));
    const call: BackendCall = {
      ...{ method: 'PUT', path, query: { 'multipart-manifest': 'put' }, doing: 'writing a manifest' },
      headers: { 'content-type': 'application/octet-stream' },
      body: { slabs: [bytes], sizeBytes: bytes.length },
      ...{ accept: [201], signal, answerMs: MANIFEST_MS },
    };
    // The ETag of a large object is the MD5 of its segments' ETags. A Swift without large objects would have stored the
    // manifest's text as the object; this tells.
    const etag = createHash('md5')
      .update(entries.map((entry) => entry.etag).join(''))
      .digest('hex');
    const isObject = path === this.#objectPath;
    const answer = isObject ? await this.#publish(call) : await this.#put(call);
    try {
      if (answer !== undefined) this.#checkEtag(answer, etag, call.doing);
    } catch (error) {
      if (isObject) await this.#removeObject();
      throw error;
    }
    return { path, etag, size_bytes: entries.reduce((sum, entry) => sum + entry.size_bytes, 0) };
  }

  /** Returns the answer, or undefined when an earlier attempt published and its answer was lost. */
  async #publish(call: BackendCall): Promise<Answer | undefined> {
    const { backend, key } = this.#options;
    const headers = { ...call.headers, 'if-none-match': '*', [MARK]: this.#mark };
    const answer = await this.#put({ ...call, headers, accept: [...call.accept, 409, 412] });
    // 409: one with a later time stamp was there first.
    if (answer.status !== 412 && answer.status !== 409) return answer;
    if (answer.attempt > 1 && (await this.#isOurs(call))) return undefined;
    throw backend.error('ALREADY_EXISTS', `there is an object ${key}`);
  }

  /** PUT, after making the containers when they are not there. */
  async #put(call: BackendCall): Promise<Answer> {
    const { backend, containers } = this.#options;
    const answer = await backend.call({ ...call, accept: [...call.accept, 404] });
    if (answer.status !== 404) return answer;
    await containers.make(call.signal ?? new AbortController().signal);
    return backend.call(call);
  }

  async #isOurs({ signal }: BackendCall): Promise<boolean> {
    const call = { method: 'HEAD', path: this.#objectPath, doing: 'looking up an object', signal } as const;
    return (await this.#options.backend.call({ ...call, accept: [200, 404] })).headers[MARK] === this.#mark;
  }

  // What it fails with is of no use: the put has failed already, with the reason that counts.
  async #removeObject(): Promise<void> {
    const call = { method: 'DELETE', path: this.#objectPath, doing: 'deleting', accept: [204, 404] } as const;
    await this.#options.backend.call(call).catch(() => undefined);
  }

  #checkEtag({ headers }: Answer, expected: string, doing: string): void {
    if (headers['etag']?.replaceAll('"', '') === expected) return;
    const { backend } = this.#options;
    throw backend.error('UPSTREAM_FAILED', `${doing}: the service has other bytes than were sent`);
  }
}
