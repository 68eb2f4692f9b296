/** A small Images API v2 client for tests: JSON calls, raw bodies, and the bytes of images. */
import { createHash } from 'node:crypto';

/** Text, bytes or an asynchronous iteration of bytes. */
export type RequestBody = NonNullable<RequestInit['body']>;

export interface RestAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body; throws when it is not JSON. */
  json(): unknown;
}

/** The fields of an image document that the tests look at. */
export interface ImageDocument {
  readonly id: string;
  readonly name: string | null;
  readonly status: string;
  readonly size: number | null;
  readonly checksum: string | null;
  readonly os_hash_value: string | null;
  readonly tags: readonly string[];
  /** Where they are shown. */
  readonly direct_url?: string;
  readonly locations?: readonly { readonly url: string }[];
}

export const PATCH_TYPE = 'application/openstack-images-v2.1-json-patch';

export class RestClient {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    this.#url = url;
    this.#headers = headers;
  }

  async call(
    method: string,
    path: string,
    body?: RequestBody,
    options: { readonly headers?: Readonly<Record<string, string>>; readonly signal?: AbortSignal } = {},
  ): Promise<RestAnswer> {
    const response = await fetch(this.#url + path, {
      method,
      headers: { ...this.#headers, ...options.headers },
      ...(body === undefined ? {} : { body, duplex: 'half' }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) as unknown };
  }

  /** Creates an image and returns its document; fails on any answer but 201. */
  async create(fields: Readonly<Record<string, unknown>>): Promise<ImageDocument> {
    const answer = await this.call('POST', '/v2/images', JSON.stringify(fields), {
      headers: { 'content-type': 'application/json' },
    });
    if (answer.status !== 201) throw new Error(`create answered ${answer.status}: ${answer.text}`);
    return answer.json() as ImageDocument;
  }

  async show(id: string): Promise<ImageDocument> {
    const answer = await this.call('GET', `/v2/images/${id}`);
    if (answer.status !== 200) throw new Error(`show answered ${answer.status}: ${answer.text}`);
    return answer.json() as ImageDocument;
  }

  async patch(id: string, operations: readonly unknown[]): Promise<RestAnswer> {
    return this.call('PATCH', `/v2/images/${id}`, JSON.stringify(operations), {
      headers: { 'content-type': PATCH_TYPE },
    });
  }

  async upload(id: string, body: RequestBody, signal?: AbortSignal): Promise<RestAnswer> {
    return this.call('PUT', `/v2/images/${id}/file`, body, {
      headers: { 'content-type': 'application/octet-stream' },
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** Every image that a list with this query returns, following `next`. */
  async list(query = ''): Promise<readonly ImageDocument[]> {
    const images: ImageDocument[] = [];
    let path: string | undefined = `/v2/images${query}`;
    while (path !== undefined) {
      const answer = await this.call('GET', path);
      if (answer.status !== 200) throw new Error(`list answered ${answer.status}: ${answer.text}`);
      const page = answer.json() as { readonly images: readonly ImageDocument[]; readonly next?: string };
      images.push(...page.images);
      path = page.next;
    }
    return images;
  }

  /** Downloads an image and returns what its bytes come to. */
  async digest(id: string): Promise<{ readonly status: number; readonly sizeBytes: number; readonly md5: string }> {
    const response = await fetch(`${this.#url}/v2/images/${id}/file`, { headers: this.#headers });
    const hash = createHash('md5');
    let sizeBytes = 0;
    for await (const part of response.body ?? []) {
      const bytes = part as Uint8Array;
      hash.update(bytes);
      sizeBytes += bytes.byteLength;
    }
    return { status: response.status, sizeBytes, md5: hash.digest('hex') };
  }
}
