/** A caller of the REST API with an identity (auth mode none takes it from headers). */
import { EventStream } from '../support/event-stream.js';
import { type HttpAnswer, type HttpCall, httpCall } from './http-call.js';

export const PATCH_V21 = 'application/openstack-images-v2.1-json-patch';
export const PATCH_V20 = 'application/openstack-images-v2.0-json-patch';

export interface ImageBody {
  readonly id: string;
  readonly status: string;
  readonly [name: string]: unknown;
}

export class RestCaller {
  readonly project: string;
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(url: string, project: string, roles: string) {
    this.project = project;
    this.#url = url;
    this.#headers = { 'x-user-id': `user-of-${project}`, 'x-project-id': project, 'x-roles': roles };
  }

  call(call: HttpCall): Promise<HttpAnswer> {
    return httpCall(this.#url, { ...call, headers: { ...this.#headers, ...call.headers } });
  }

  get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
    return this.call({ path, headers });
  }

  /** Watches what happens after the token, or from now on; fails on any answer but 200. */
  watch(after = '', headers: Readonly<Record<string, string>> = {}): Promise<EventStream> {
    return EventStream.open(this.#url, { after, headers: { ...this.#headers, ...headers } });
  }

  async status(method: string, path: string, body?: unknown): Promise<number> {
    return (await this.call({ method, path, body })).status;
  }

  /** Creates an image; fails on any answer but 201. */
  async create(fields: Readonly<Record<string, unknown>> = {}): Promise<ImageBody> {
    const answer = await this.call({ method: 'POST', path: '/v2/images', body: fields });
    if (answer.status !== 201) throw new Error(`create answered ${answer.status}: ${answer.text}`);
    return JSON.parse(answer.text) as ImageBody;
  }

  /** Creates an active image of these bytes. */
  async createActive(bytes: Buffer, fields: Readonly<Record<string, unknown>> = {}): Promise<ImageBody> {
    const image = await this.create({ disk_format: 'raw', container_format: 'bare', ...fields });
    const answer = await this.upload(image.id, bytes);
    if (answer.status !== 204) throw new Error(`upload answered ${answer.status}: ${answer.text}`);
    return this.show(image.id);
  }

  async show(id: string): Promise<ImageBody> {
    const answer = await this.get(`/v2/images/${id}`);
    if (answer.status !== 200) throw new Error(`show answered ${answer.status}: ${answer.text}`);
    return JSON.parse(answer.text) as ImageBody;
  }

  patch(id: string, operations: unknown, contentType: string = PATCH_V21): Promise<HttpAnswer> {
    return this.call({
      method: 'PATCH',
      path: `/v2/images/${id}`,
      headers: { 'content-type': contentType },
      body: operations,
    });
  }

  upload(id: string, bytes: Buffer, headers: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
    return this.call({
      method: 'PUT',
      path: `/v2/images/${id}/file`,
      headers: { 'content-type': 'application/octet-stream', ...headers },
      body: bytes,
    });
  }

  /** The ids that a list answers, following `next`. */
  async listIds(query = ''): Promise<string[]> {
    const ids: string[] = [];
    let path: string | undefined = `/v2/images${query}`;
    while (path !== undefined) {
      const answer = await this.get(path);
      if (answer.status !== 200) throw new Error(`list answered ${answer.status}: ${answer.text}`);
      const page = JSON.parse(answer.text) as { images: { id: string }[]; next?: string };
      ids.push(...page.images.map(({ id }) => id));
      path = page.next;
    }
    return ids;
  }
}
