import type { ByteRange, ImageStore, PutOptions } from '../../application/ports/image-store.js';
import type { ObjectKey, StoreId } from '../../base/brand.js';
import { Backend } from '../remote/backend.js';
import { Presence } from '../remote/presence.js';
import { uploadInParts } from '../remote/part-upload.js';
import { readObject } from '../remote/ranged-read.js';
import { TIMEOUTS, type Timeouts, Transport } from '../remote/transport.js';
import { goodFor } from '../remote/url-window.js';
import { PresignedUrls } from './presigned-urls.js';
import { readS3Credentials } from './s3-credentials.js';
import { S3Dialect } from './s3-dialect.js';
import { abortUpload, S3Upload } from './s3-upload.js';
import { elements, elementText } from './s3-xml.js';

export interface S3StoreOptions {
  readonly id: StoreId;
  /** The URL of the service, without a slash at the end. */
  readonly endpoint: string;
  /** Must exist. */
  readonly bucket: string;
  readonly region: string;
  readonly credentialsFile: string;
  /** How long presigned URLs are good; null: none are made. */
  readonly presignTtlMs?: number | null;
  readonly timeouts?: Timeouts;
}

/**
 * A store of objects in a bucket of S3. The service is not asked before the store is used. INVALID_ARGUMENT: the credentials
 * cannot be read.
 */
export async function openS3Store(options: S3StoreOptions): Promise<ImageStore> {
  const credentials = await readS3Credentials(options.credentialsFile, options.id);
  const dialect = new S3Dialect(options.endpoint, options.region, credentials);
  const backend = new Backend(options.id, new Transport(options.timeouts ?? TIMEOUTS), dialect);
  return new S3Store(options, backend, new PresignedUrls(options, credentials));
}

class S3Store implements ImageStore {
  readonly id: StoreId;
  readonly type = 's3';
  readonly #options: S3StoreOptions;
  readonly #backend: Backend;
  readonly #bucket: Presence;
  readonly #presigned: PresignedUrls;
  /** Keys that puts of this process are writing; Swift's S3 and others publish multipart uploads without a condition. */
  readonly #putting = new Set<ObjectKey>();
  /** Multipart uploads of those; `delete` leaves them alone. */
  readonly #uploads = new Set<string>();

  constructor(options: S3StoreOptions, backend: Backend, presigned: PresignedUrls) {
    this.id = options.id;
    this.#options = options;
    this.#backend = backend;
    this.#presigned = presigned;
    this.#bucket = new Presence(backend, { path: `/${options.bucket}`, what: 'bucket' });
  }

  async put(
    key: ObjectKey,
    source: AsyncIterable<Uint8Array>,
    options: PutOptions,
  ): Promise<{ readonly sizeBytes: number }> {
    options.signal.throwIfAborted();
    const taken = this.#backend.error('ALREADY_EXISTS', `there is an object ${key}`);
    if (this.#putting.has(key)) throw taken;
    this.#putting.add(key);
    try {
      if ((await this.#head(key, options.signal)) !== undefined) throw taken;
      const upload = new S3Upload({ backend: this.#backend, path: this.#path(key), key, running: this.#uploads });
      return { sizeBytes: await uploadInParts(source, upload, options) };
    } finally {
      this.#putting.delete(key);
    }
  }

  read(key: ObjectKey, range: ByteRange, { signal }: { readonly signal?: AbortSignal }): AsyncGenerator<Uint8Array> {
    const head = () => this.#head(key, signal);
    const missing = () => this.#bucket.check(signal);
    return readObject({ backend: this.#backend, key, path: this.#path(key), range, signal, head, missing });
  }

  async stat(key: ObjectKey): Promise<{ readonly sizeBytes: number } | undefined> {
    return this.#head(key);
  }

  async delete(key: ObjectKey): Promise<boolean> {
    const path = this.#path(key);
    for (const uploadId of await this.#leftUploads(key)) await abortUpload(this.#backend, path, uploadId);
    if ((await this.#head(key)) === undefined) return false;
    await this.#backend.call({ method: 'DELETE', path, doing: 'deleting', accept: [200, 204, 404] });
    return true;
  }

  /** S3 has no limit that it tells of. */
  capacity(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async check(): Promise<void> {
    await this.#bucket.ask({ attempts: 1, answerMs: 10_000 });
  }

  /** As Glance writes it: `s3://` over HTTP, `s3+https://` over HTTPS. */
  url(key: ObjectKey): string {
    const { protocol, host, pathname } = new URL(this.#options.endpoint);
    const scheme = protocol === 'https:' ? 's3+https' : 's3';
    return `${scheme}://${host}${pathname.replace(/\/$/, '')}${this.#path(key)}`;
  }

  directUrl(key: ObjectKey, nowMs: number): string | undefined {
    const ttlMs = this.#options.presignTtlMs ?? null;
    return ttlMs === null ? undefined : this.#presigned.url(this.#path(key), goodFor(ttlMs, nowMs));
  }

  async #head(key: ObjectKey, signal?: AbortSignal): Promise<{ readonly sizeBytes: number } | undefined> {
    const call = { method: 'HEAD', path: this.#path(key), doing: 'looking up an object', signal } as const;
    const { status, headers } = await this.#backend.call({ ...call, accept: [200, 404] });
    // A bucket that is gone has no objects either: that must not read as if they had been deleted.
    if (status === 404) await this.#bucket.check(signal);
    return status === 404 ? undefined : { sizeBytes: Number(headers['content-length'] ?? 0) };
  }

  /** Ids of the multipart uploads of this key that nobody here goes on with. */
  async #leftUploads(key: ObjectKey): Promise<readonly string[]> {
    const call = { method: 'GET', path: `/${this.#options.bucket}`, query: { uploads: '', prefix: key } } as const;
    // 501: the service has no such list; it must drop unfinished uploads itself.
    const { status, text } = await this.#backend.call({ ...call, doing: 'listing uploads', accept: [200, 501] });
    if (status === 501) return [];
    return elements(text, 'Upload')
      .filter((upload) => elementText(upload, 'Key') === key)
      .map((upload) => elementText(upload, 'UploadId') ?? '')
      .filter((uploadId) => uploadId !== '' && !this.#uploads.has(uploadId));
  }

  #path(key: ObjectKey): string {
    return `/${this.#options.bucket}/${key}`;
  }
}
