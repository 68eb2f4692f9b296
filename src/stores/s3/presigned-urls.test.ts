import { AwsV4Signer } from 'aws4fetch';
import { describe, expect, it } from 'vitest';
import { goodFor } from '../remote/url-window.js';
import { PresignedUrls } from './presigned-urls.js';

const at = Date.UTC(2026, 10, 26, 17, 31, 7);
const endpoint = 'https://s3.eu-central-1.amazonaws.com';
const region = 'eu-central-1';
const path = '/images/11111111-1111-4111-8111-111111111111/u~1.data';

describe('a presigned URL', () => {
  const keys = { accessKeyId: "test:t'ester/(1)", secretAccessKey: 'secret', sessionToken: undefined };
  it.each([
    ['a key', keys],
    ['a key of a session', { ...keys, sessionToken: 'a+b/c==' }],
  ])('is the one that aws4fetch makes, with %s', async (_what, credentials) => {
    const window = goodFor(3_600_000, at);
    const url = new URL(new PresignedUrls({ endpoint, region }, credentials).url(path, window));
    const datetime = url.searchParams.get('X-Amz-Date') ?? '';
    expect(datetime).toBe('20261126T173000Z');
    const expected = new URL(`${endpoint}${path}`);
    expected.searchParams.set('X-Amz-Expires', '3600');
    const signer = new AwsV4Signer({
      ...{ method: 'GET', url: expected.href, service: 's3', region, datetime, signQuery: true },
      ...{ accessKeyId: credentials.accessKeyId, secretAccessKey: credentials.secretAccessKey },
      ...(credentials.sessionToken === undefined ? {} : { sessionToken: credentials.sessionToken }),
    });
    const theirs = (await signer.sign()).url;
    const sorted = (of: URL): string[][] => [...of.searchParams].sort();
    expect(sorted(url)).toEqual(sorted(theirs));
    expect(url.pathname).toBe(theirs.pathname);
    expect(url.href).not.toContain('secret');
  });
});

describe('the window of a URL', () => {
  it('is good for half of its time or more, and the same for as long', () => {
    const seconds = (at: number) => goodFor(100_000, at * 1000);
    expect(seconds(1000)).toEqual({ fromSeconds: 1000, untilSeconds: 1100 });
    expect(seconds(1049.9)).toEqual(seconds(1000));
    expect(seconds(1050)).toEqual({ fromSeconds: 1050, untilSeconds: 1150 });
  });
});
