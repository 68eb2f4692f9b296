/** How S3 is spoken: path-style addresses, AWS signature version 4 over a hash of the body, errors in XML. */
import { createHash } from 'node:crypto';
import { AwsV4Signer } from 'aws4fetch';
import type { BackendCall, Dialect } from '../remote/backend.js';
import type { HttpHead, HttpRequest } from '../remote/transport.js';
import type { S3Credentials } from './s3-credentials.js';
import { elementText } from './s3-xml.js';

const SHA256_OF_NOTHING = createHash('sha256').digest('hex');

export class S3Dialect implements Dialect {
  readonly #endpoint: string;
  readonly #region: string;
  readonly #credentials: S3Credentials;
  /** Signing keys, one a day. */
  readonly #keys = new Map<string, ArrayBuffer>();

  constructor(endpoint: string, region: string, credentials: S3Credentials) {
    this.#endpoint = endpoint;
    this.#region = region;
    this.#credentials = credentials;
  }

  async authorize(call: BackendCall): Promise<HttpRequest> {
    const url = new URL(this.#endpoint + call.path);
    for (const [name, value] of Object.entries(call.query ?? {})) url.searchParams.set(name, value);
    if (this.#keys.size > 7) this.#keys.clear();
    const { accessKeyId, secretAccessKey, sessionToken } = this.#credentials;
    const signer = new AwsV4Signer({
      method: call.method,
      url: url.href,
      // The service compares the body with this hash, which the signature covers.
      headers: { ...call.headers, 'x-amz-content-sha256': call.body?.sha256Hex ?? SHA256_OF_NOTHING },
      ...{ accessKeyId, secretAccessKey, service: 's3', region: this.#region, cache: this.#keys },
      ...(sessionToken === undefined ? {} : { sessionToken }),
    });
    const signed = await signer.sign();
    const headers = Object.fromEntries(signed.headers.entries());
    return { method: call.method, url: signed.url.href, headers, ...(call.body && { body: call.body }) };
  }

  renew(): Promise<boolean> {
    return Promise.resolve(false);
  }

  codeOf(_head: HttpHead, text: string): string {
    return elementText(text, 'Code') ?? '';
  }
}
