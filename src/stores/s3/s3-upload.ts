/**
 * One object on its way into S3: a single request, or a multipart upload whose completion publishes it. Both carry a mark of
 * this put, which tells our own object from another's when the answer to a publication was lost.
 */
import { createHash, randomUUID } from 'node:crypto';
import type { ObjectKey } from '../../base/brand.js';
import type { Answer, Backend, BackendCall } from '../remote/backend.js';
import type { Part, PartSink } from '../remote/part-upload.js';
import { elementText, partList } from './s3-xml.js';

const MARK = 'x-amz-meta-oriel-put';
/** Completing may take "several minutes" (Amazon S3 API, CompleteMultipartUpload). */
const COMPLETE_MS = 10 * 60_000;

export interface S3UploadOptions {
  readonly backend: Backend;
  readonly path: string;
  readonly key: ObjectKey;
  /** Ids of the multipart uploads that run. */
  readonly running: Set<string>;
}

export class S3Upload implements PartSink {
  readonly hash = 'sha256';
  readonly #options: S3UploadOptions;
  readonly #mark = randomUUID();
  readonly #etags: string[] = [];
  #uploadId = '';

  constructor(options: S3UploadOptions) {
    this.#options = options;
  }

  async whole(part: Part, signal: AbortSignal): Promise<void> {
    await this.#publish({
      method: 'PUT',
      path: this.#options.path,
      headers: { [MARK]: this.#mark, 'content-type': 'application/octet-stream' },
      body: bodyOf(part),
      doing: 'writing',
      accept: [200],
      signal,
    });
  }

  async begin(signal: AbortSignal): Promise<void> {
    const { backend, path, running } = this.#options;
    const headers = { [MARK]: this.#mark, 'content-type': 'application/octet-stream' };
    const call = { method: 'POST', path, query: { uploads: '' }, headers, signal } as const;
    const { text } = await backend.call({ ...call, doing: 'beginning an upload', accept: [200] });
    this.#uploadId = elementText(text, 'UploadId') ?? '';
    if (this.#uploadId === '')
      throw backend.error('UPSTREAM_FAILED', 'beginning an upload: the service answered without an id');
    running.add(this.#uploadId);
  }

  async send(part: Part, signal: AbortSignal): Promise<void> {
    const { backend, path } = this.#options;
    const query = { partNumber: String(part.number), uploadId: this.#uploadId };
    const call = { method: 'PUT', path, query, body: bodyOf(part), signal } as const;
    const { headers } = await backend.call({ ...call, doing: `writing part ${part.number}`, accept: [200] });
    const etag = headers['etag'];
    if (etag === undefined)
      throw backend.error('UPSTREAM_FAILED', `writing part ${part.number}: the service answered without an ETag`);
    this.#etags[part.number - 1] = etag;
  }

  async finish(signal: AbortSignal): Promise<void> {
    const bytes = Buffer.from(partList(this.#etags));
    const sha256Hex = createHash('sha256').update(bytes).digest('hex');
    await this.#publish({
      method: 'POST',
      path: this.#options.path,
      query: { uploadId: this.#uploadId },
      headers: { 'content-type': 'application/xml' },
      body: { slabs: [bytes], sizeBytes: bytes.length, sha256Hex },
      doing: 'completing an upload',
      accept: [200],
      signal,
      answerMs: COMPLETE_MS,
    });
    this.#options.running.delete(this.#uploadId);
  }

  async giveUp(): Promise<void> {
    const { backend, path, running } = this.#options;
    running.delete(this.#uploadId);
    await abortUpload(backend, path, this.#uploadId);
  }

  /** Publishes unless the key is taken: conditionally where the service knows how (it says 501 where not). */
  async #publish(call: BackendCall): Promise<void> {
    const { backend, key } = this.#options;
    const accept = [...call.accept, 404, 412, 501];
    let answer = await backend.call({ ...call, accept, headers: { ...call.headers, 'if-none-match': '*' } });
    if (answer.status === 501) answer = await backend.call({ ...call, accept });
    const code = elementText(answer.text, 'Code');
    if (answer.status === 200 && code === undefined) return;
    if (await this.#wasPublished(call, answer)) return;
    if (answer.status === 412 || code === 'PreconditionFailed')
      throw backend.error('ALREADY_EXISTS', `there is an object ${key}`);
    // Amazon S3 API, CompleteMultipartUpload: "a 200 OK response can contain either a success or an error".
    const problem = `${call.doing}: the service answered HTTP ${answer.status} ${code ?? ''}`.trimEnd();
    const passing = answer.status === 200 || code === 'NoSuchBucket';
    throw backend.error(passing ? 'UNAVAILABLE' : 'UPSTREAM_FAILED', problem);
  }

  /** Tells whether an earlier attempt published, although its answer was lost. */
  async #wasPublished({ signal }: BackendCall, { attempt }: Answer): Promise<boolean> {
    if (attempt === 1) return false;
    const { backend, path } = this.#options;
    const call = { method: 'HEAD', path, doing: 'looking up an object', accept: [200, 404], signal } as const;
    return (await backend.call(call)).headers[MARK] === this.#mark;
  }
}

/** Drops an unfinished multipart upload and its parts. */
export async function abortUpload(backend: Backend, path: string, uploadId: string): Promise<void> {
  const call = { method: 'DELETE', path, query: { uploadId } } as const;
  await backend.call({ ...call, doing: 'dropping an upload', accept: [200, 204, 404] });
}

function bodyOf(part: Part): NonNullable<BackendCall['body']> {
  return { slabs: part.slabs, sizeBytes: part.sizeBytes, sha256Hex: part.digest.toString('hex') };
}
