import type { ByteRange, Capacity, ImageStore, PutOptions } from '../../application/ports/image-store.js';
import type { ObjectKey, StoreId } from '../../base/brand.js';
import { MIB } from '../../base/units.js';
import { Backend } from '../remote/backend.js';
import { uploadInParts } from '../remote/part-upload.js';
import { Presence } from '../remote/presence.js';
import { readObject } from '../remote/ranged-read.js';
import { readSecretFile, readSecretLine } from '../remote/secret-file.js';
import { TIMEOUTS, type Timeouts, Transport } from '../remote/transport.js';
import { SwiftContainers } from './swift-containers.js';
import { SwiftDialect } from './swift-dialect.js';
import { segmentsPrefix, type SwiftPlaces, swiftPlaces } from './swift-places.js';
import { quotaOf } from './swift-quota.js';
import { type SwiftLogin, SwiftSession } from './swift-session.js';
import { SwiftUpload } from './swift-upload.js';
import { TempUrls } from './temp-urls.js';

export interface SwiftStoreOptions extends SwiftLogin {
  /** Made with the first object, beside one named `<container>_segments`. */
  readonly container: string;
  /** null: no TempURLs are made. */
  readonly tempUrl?: { readonly keyFile: string; readonly ttlMs: number } | null;
  readonly timeouts?: Timeouts;
}

/** Puts larger than this look at the quotas first. */
const QUOTA_FROM_BYTES = MIB;
const CHECK_MS = 10_000;
/** A start is held up for so long at most. */
const FIRST_LOGIN_MS = 5000;

interface Head {
  readonly sizeBytes: number;
  readonly isLarge: boolean;
}

/**
 * A store of objects in a container of Swift. The service is not asked before the store is used, but for its address when
 * there are TempURLs to make; it need not answer. INVALID_ARGUMENT: a key cannot be read.
 */
export async function openSwiftStore(options: SwiftStoreOptions): Promise<ImageStore> {
  const { id, tempUrl = null } = options;
  await readSecretFile(options.keyFile, 'key_file', id);
  const transport = new Transport(options.timeouts ?? TIMEOUTS);
  const session = new SwiftSession(options, transport);
  const backend = new Backend(id, transport, new SwiftDialect(session));
  if (tempUrl === null) return new SwiftStore(options, backend, undefined);
  const key = await readSecretLine(tempUrl.keyFile, 'temp_url_key_file', id);
  await session.reach(FIRST_LOGIN_MS);
  return new SwiftStore(options, backend, new TempUrls(session, { key, ttlMs: tempUrl.ttlMs }));
}

class SwiftStore implements ImageStore {
  readonly id: StoreId;
  readonly type = 'swift';
  readonly #options: SwiftStoreOptions;
  readonly #backend: Backend;
  readonly #places: SwiftPlaces;
  readonly #containers: SwiftContainers;
  readonly #container: Presence;
  readonly #tempUrls: TempUrls | undefined;
  /** Keys that puts of this process are writing: Swift checks its condition before the bytes come, and two may pass. */
  readonly #putting = new Set<ObjectKey>();
  /** Prefixes of the segments of running puts; `delete` leaves them alone. */
  readonly #running = new Set<string>();

  constructor(options: SwiftStoreOptions, backend: Backend, tempUrls: TempUrls | undefined) {
    this.id = options.id;
    this.#options = options;
    this.#backend = backend;
    this.#tempUrls = tempUrls;
    this.#places = swiftPlaces(options.container);
    this.#containers = new SwiftContainers(backend, this.#places);
    this.#container = new Presence(backend, { path: this.#places.container, what: 'container' });
  }

  async put(
    key: ObjectKey,
    source: AsyncIterable<Uint8Array>,
    options: PutOptions,
  ): Promise<{ readonly sizeBytes: number }> {
    options.signal.throwIfAborted();
    const backend = this.#backend;
    const taken = backend.error('ALREADY_EXISTS', `there is an object ${key}`);
    if (this.#putting.has(key)) throw taken;
    this.#putting.add(key);
    try {
      if ((await this.#head(key, options.signal)) !== undefined) throw taken;
      await this.#checkRoom(options.expectedSizeBytes ?? 0);
      const upload = new SwiftUpload({
        ...{ backend, containers: this.#containers, places: this.#places, key, running: this.#running },
      });
      return { sizeBytes: await uploadInParts(source, upload, options) };
    } finally {
      this.#putting.delete(key);
    }
  }

  read(key: ObjectKey, range: ByteRange, { signal }: { readonly signal?: AbortSignal }): AsyncGenerator<Uint8Array> {
    const head = () => this.#head(key, signal);
    const missing = () => this.#container.check(signal);
    return readObject({ backend: this.#backend, key, path: this.#path(key), range, signal, head, missing });
  }

  async stat(key: ObjectKey): Promise<{ readonly sizeBytes: number } | undefined> {
    const found = await this.#head(key);
    // A container that is not there, or another one, has no objects either: that must not read as if they had been deleted.
    if (found === undefined) await this.#container.check();
    return found && { sizeBytes: found.sizeBytes };
  }

  async delete(key: ObjectKey): Promise<boolean> {
    const found = await this.#head(key);
    if (found !== undefined) await this.#remove(key, found);
    await this.#containers.clear(segmentsPrefix(key), this.#running);
    return found !== undefined;
  }

  capacity(): Promise<Capacity | undefined> {
    return quotaOf(this.#backend, this.#places);
  }

  async check(): Promise<void> {
    const call = { method: 'HEAD', path: this.#places.container, doing: 'looking for its container' } as const;
    // 404: the first object makes it.
    await this.#backend.call({ ...call, accept: [200, 204, 404], attempts: 1, answerMs: CHECK_MS });
  }

  /** As Glance writes it, without user and key: `swift+https://` and the Identity service's address. */
  url(key: ObjectKey): string {
    const { protocol, host, pathname } = new URL(this.#options.authUrl);
    return `swift+${protocol}//${host}${pathname.replace(/\/$/, '')}${this.#path(key)}`;
  }

  directUrl(key: ObjectKey, nowMs: number): string | undefined {
    return this.#tempUrls?.url(this.#path(key), nowMs);
  }

  async #head(key: ObjectKey, signal?: AbortSignal): Promise<Head | undefined> {
    const call = { method: 'HEAD', path: this.#path(key), doing: 'looking up an object', signal } as const;
    const { status, headers } = await this.#backend.call({ ...call, accept: [200, 204, 404] });
    if (status === 404) return undefined;
    const isLarge = headers['x-static-large-object']?.toLowerCase() === 'true';
    return { sizeBytes: Number(headers['content-length'] ?? 0), isLarge };
  }

  /** The service removes a large object with its segments; where it fails at that, the manifest alone goes. */
  async #remove(key: ObjectKey, { isLarge }: Head): Promise<void> {
    const call = { method: 'DELETE', path: this.#path(key), doing: 'deleting' } as const;
    if (isLarge) {
      const query = { 'multipart-manifest': 'delete' };
      const headers = { accept: 'application/json' };
      const { text } = await this.#backend.call({ ...call, query, headers, accept: [200, 204, 404] });
      if (/"Response Status"\s*:\s*"200 OK"/.test(text)) return;
    }
    await this.#backend.call({ ...call, accept: [204, 404] });
  }

  async #checkRoom(expectedSizeBytes: number): Promise<void> {
    if (expectedSizeBytes < QUOTA_FROM_BYTES) return;
    const capacity = await this.capacity();
    if (capacity === undefined || expectedSizeBytes <= capacity.freeBytes) return;
    const problem = `no room: expected ${expectedSizeBytes} bytes, the quota leaves ${capacity.freeBytes}`;
    throw this.#backend.error('LIMIT_EXCEEDED', problem);
  }

  #path(key: ObjectKey): string {
    return `${this.#places.container}/${key}`;
  }
}
