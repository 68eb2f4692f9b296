/** A client of a cluster under faults: changes images of its own through any node, and notes what it was promised. */
import { expect } from 'vitest';
import type { RestAnswer, RestClient } from '../support/rest-client.js';
import { PATCH_TYPE } from '../support/rest-client.js';
import type { SeededRandom } from '../support/seeded-random.js';

const IMAGES = 4;
const FORMATS = { disk_format: 'raw', container_format: 'bare' };

/** What the client knows of one image. */
interface Known {
  readonly id: string;
  /** Changes that were acknowledged, the creation among them: the version is at least this. */
  acked: number;
  /** Changes without an answer, which may have happened. */
  unknown: number;
  /** Properties that acknowledged patches set. */
  readonly properties: Map<string, string>;
}

export class ClusterClient {
  readonly images: Known[] = [];
  /** What went against a promise. */
  readonly wrong: string[] = [];
  acked = 0;
  readonly #random: SeededRandom;
  #position = '';
  #serial = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** One change or one read, through one of the nodes. */
  async step(nodes: readonly RestClient[]): Promise<void> {
    const node = nodes[this.#random.between(0, nodes.length - 1)];
    const image = this.images[this.#random.between(0, IMAGES - 1)];
    if (node === undefined) return;
    if (image === undefined) return this.#create(node);
    if (this.#random.next() < 0.5) return this.#patch(node, image);
    return this.check(node, image);
  }

  /** Reads an image as new as all that this client has seen, and holds it against what it knows. */
  async check(node: RestClient, image: Known): Promise<void> {
    const headers = this.#position === '' ? {} : { 'oriel-min-position': this.#position };
    const answer = await sent(node.call('GET', `/v2/images/${image.id}`, undefined, { headers }));
    if (answer === undefined || answer.status === 503 || answer.status === 504) return;
    if (answer.status !== 200) {
      this.wrong.push(`${image.id}: a read answered ${answer.status}: ${answer.text}`);
      return;
    }
    this.#see(answer);
    const version = Number(answer.headers.get('oriel-image-version'));
    if (version < image.acked || version > image.acked + image.unknown)
      this.wrong.push(`${image.id}: version ${version}, expected ${image.acked} to ${image.acked + image.unknown}`);
    const document = new Map(Object.entries(answer.json() as Record<string, unknown>));
    for (const [name, value] of image.properties)
      if (document.get(name) !== value)
        this.wrong.push(`${image.id}: ${name} is ${String(document.get(name))}, not ${value}`);
  }

  async #create(node: RestClient): Promise<void> {
    const id = this.#random.uuid();
    const body = JSON.stringify({ id, ...FORMATS });
    const answer = await sent(
      node.call('POST', '/v2/images', body, { headers: { 'content-type': 'application/json' } }),
    );
    // One without an answer is left alone: whether it is there is nobody's business.
    if (answer?.status !== 201) {
      this.#refused(answer);
      return;
    }
    this.#ack(answer);
    this.images.push({ id, acked: 1, unknown: 0, properties: new Map() });
  }

  async #patch(node: RestClient, image: Known): Promise<void> {
    this.#serial += 1;
    const [name, value] = [`p${this.#serial % 20}`, `v${this.#serial}`];
    const operations = JSON.stringify([{ op: 'add', path: `/${name}`, value }]);
    image.unknown += 1;
    image.properties.delete(name);
    const answer = await sent(
      node.call('PATCH', `/v2/images/${image.id}`, operations, { headers: { 'content-type': PATCH_TYPE } }),
    );
    if (answer?.status !== 200) {
      this.#refused(answer);
      return;
    }
    image.unknown -= 1;
    image.acked += 1;
    image.properties.set(name, value);
    this.#ack(answer);
    // What it wrote, it sees at once on the same node, without asking for anything.
    const read = await sent(node.call('GET', `/v2/images/${image.id}`));
    if (read?.status !== 200) return;
    const seen = Number(read.headers.get('oriel-image-version'));
    if (seen < image.acked)
      this.wrong.push(`${image.id}: read version ${seen} after version ${image.acked} was written`);
  }

  #refused(answer: RestAnswer | undefined): void {
    if (answer === undefined || answer.status === 503 || answer.status === 504) return;
    this.wrong.push(`a change answered ${answer.status}: ${answer.text}`);
  }

  #ack(answer: RestAnswer): void {
    this.acked += 1;
    this.#see(answer);
  }

  #see(answer: RestAnswer): void {
    const position = answer.headers.get('oriel-position') ?? '';
    expect(position).toMatch(/^\d+\.\d+$/);
    if (isNewer(position, this.#position)) this.#position = position;
  }
}

function isNewer(position: string, than: string): boolean {
  const [epoch = 0, frame = 0] = position.split('.').map(Number);
  const [beforeEpoch = 0, beforeFrame = 0] = than.split('.').map(Number);
  return epoch > beforeEpoch || (epoch === beforeEpoch && frame > beforeFrame);
}

/** The answer, or undefined when none came: the node was killed. */
function sent(answer: Promise<RestAnswer>): Promise<RestAnswer | undefined> {
  return answer.catch(() => undefined);
}
