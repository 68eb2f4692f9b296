import { createHash, createHmac } from 'node:crypto';
import type { UrlWindow } from '../remote/url-window.js';
import type { S3Credentials } from './s3-credentials.js';

const ALGORITHM = 'AWS4-HMAC-SHA256';

/**
 * URLs by which anyone reads an object until they expire (Amazon S3, "Authenticating Requests: Using Query Parameters"). Made here
 * and not by aws4fetch, which signs asynchronously: images are turned into messages in one go.
 */
export class PresignedUrls {
  readonly #options: { readonly endpoint: string; readonly region: string };
  readonly #credentials: S3Credentials;
  /** The signing key of a day. */
  #signing: { readonly day: string; readonly key: Buffer } | undefined;

  constructor(options: { readonly endpoint: string; readonly region: string }, credentials: S3Credentials) {
    this.#options = options;
    this.#credentials = credentials;
  }

  /** The URL of a path below the endpoint, whose characters need no escape. */
  url(path: string, { fromSeconds, untilSeconds }: UrlWindow): string {
    const { accessKeyId, sessionToken } = this.#credentials;
    const time = `${new Date(fromSeconds * 1000).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
    const day = time.slice(0, 8);
    const scope = `${day}/${this.#options.region}/s3/aws4_request`;
    const url = new URL(this.#options.endpoint + path);
    const query = [
      ['X-Amz-Algorithm', ALGORITHM],
      ['X-Amz-Credential', `${accessKeyId}/${scope}`],
      ['X-Amz-Date', time],
      ['X-Amz-Expires', String(untilSeconds - fromSeconds)],
      ...(sessionToken === undefined ? [] : [['X-Amz-Security-Token', sessionToken]]),
      ['X-Amz-SignedHeaders', 'host'],
    ]
      .map((pair) => pair.map(escapeQuery).join('='))
      .join('&');
    const request = ['GET', url.pathname, query, `host:${url.host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join('\n');
    const digest = createHash('sha256').update(request).digest('hex');
    const signature = createHmac('sha256', this.#keyOf(day))
      .update([ALGORITHM, time, scope, digest].join('\n'))
      .digest('hex');
    return `${url.href}?${query}&X-Amz-Signature=${signature}`;
  }

  #keyOf(day: string): Buffer {
    if (this.#signing?.day === day) return this.#signing.key;
    const steps = [day, this.#options.region, 's3', 'aws4_request'];
    const first: Buffer = Buffer.from(`AWS4${this.#credentials.secretAccessKey}`);
    const key = steps.reduce((last, step) => createHmac('sha256', last).update(step).digest(), first);
    this.#signing = { day, key };
    return key;
  }
}

/** As the signature wants it: everything but letters, digits and `-._~`. */
function escapeQuery(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}
