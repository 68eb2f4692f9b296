/**
 * kill -9 at random points while clients create, upload, patch and delete; then a start on the same data folder. No
 * acknowledged change may be lost, no image half done, no file without an image. ORIEL_KILLS and ORIEL_SEED set how
 * often and which course.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { eventually } from '../support/eventually.js';
import { startNode, type TestNode } from '../support/node.js';
import { RestClient } from '../support/rest-client.js';
import { SeededRandom, testSeed } from '../support/seeded-random.js';
import { FILES_PER_IMAGE, storedFiles } from '../support/stored-files.js';
import { tempFolder } from '../support/temp-folder.js';
import { contentOf, ImageModel } from './kill-model.js';

const KILLS = Number(process.env['ORIEL_KILLS'] ?? '50');
const PROGRESS_EVERY = 100;
const CLIENTS = 4;
const IMAGES_PER_CLIENT = 6;
const SWEEP_LIMIT_MS = 60_000;

let folder: Awaited<ReturnType<typeof tempFolder>>;
let node: TestNode | undefined;

beforeAll(async () => {
  folder = await tempFolder('kill');
});

afterAll(async () => {
  await node?.stop();
  await folder.remove();
});

/** One client: works on images of its own, one operation at a time, until the node dies. */
class KillClient {
  readonly images: ImageModel[] = [];
  readonly refused: string[] = [];
  /** How many changes of each kind were acknowledged. */
  readonly done = { create: 0, upload: 0, rename: 0, delete: 0 };
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  async workUntilDead(rest: RestClient, isDead: () => boolean): Promise<void> {
    while (!isDead()) {
      try {
        await this.#step(rest);
      } catch (error) {
        if (!isDead()) this.refused.push(String(error));
        return;
      }
    }
  }

  async #step(rest: RestClient): Promise<void> {
    const alive = this.images.filter((image) => image.exists.sure);
    const chosen = alive[this.#random.between(0, alive.length - 1)];
    const dice = this.#random.next();
    if (chosen === undefined || (dice < 0.3 && alive.length < IMAGES_PER_CLIENT)) return this.#create(rest);
    if (chosen.content.sure === null && dice < 0.8) return this.#upload(rest, chosen);
    if (dice < 0.75) return this.#rename(rest, chosen);
    return this.#delete(rest, chosen);
  }

  async #create(rest: RestClient): Promise<void> {
    const image = new ImageModel(this.#random.uuid(), `new-${this.#random.between(0, 1_000_000)}`);
    this.images.push(image);
    await image.ask(image.exists, true, async () => {
      await rest.create({ id: image.id, name: image.name.sure, disk_format: 'raw', container_format: 'bare' });
    });
    this.done.create += 1;
  }

  async #upload(rest: RestClient, image: ImageModel): Promise<void> {
    const bytes = this.#random.bytes(this.#random.between(1, 3) ** 4 * this.#random.between(1000, 24_000));
    await image.ask(image.content, contentOf(bytes), async () => {
      expectStatus(await rest.upload(image.id, bytes), 204);
    });
    image.bytesUnchecked = true;
    this.done.upload += 1;
  }

  async #rename(rest: RestClient, image: ImageModel): Promise<void> {
    const name = `renamed-${this.#random.between(0, 1_000_000)}`;
    await image.ask(image.name, name, async () => {
      expectStatus(await rest.patch(image.id, [{ op: 'replace', path: '/name', value: name }]), 200);
    });
    this.done.rename += 1;
  }

  async #delete(rest: RestClient, image: ImageModel): Promise<void> {
    await image.ask(image.exists, false, async () => {
      expectStatus(await rest.call('DELETE', `/v2/images/${image.id}`), 204);
    });
    this.done.delete += 1;
  }
}

function acknowledged(clients: readonly KillClient[]): number {
  return clients.flatMap((client) => Object.values(client.done)).reduce((sum, count) => sum + count, 0);
}

function expectStatus(answer: { readonly status: number; readonly text: string }, status: number): void {
  if (answer.status !== status) throw new Error(`expected ${status}, got ${answer.status}: ${answer.text}`);
}

/** Compares everything with the models; returns what is wrong. */
async function inspect(
  running: TestNode,
  rest: RestClient,
  clients: readonly KillClient[],
): Promise<readonly string[]> {
  const wrong: string[] = [];
  const models = clients.flatMap((client) => client.images);
  const listed = new Map((await rest.list('?limit=1000')).map((image) => [image.id, image]));
  for (const model of models) {
    const found = model.settle(listed.get(model.id));
    wrong.push(...found.map((text) => `${model.id}: ${text}`));
    listed.delete(model.id);
    if (!model.exists.sure || model.content.sure === null || !model.bytesUnchecked) continue;
    const got = await rest.digest(model.id);
    if (got.status !== 200 || got.md5 !== model.content.sure.md5)
      wrong.push(`${model.id}: its bytes hash to ${got.md5}`);
    model.bytesUnchecked = false;
  }
  wrong.push(...[...listed.keys()].map((id) => `${id}: nobody created it`));
  wrong.push(...(await orphans(running, models)));
  for (const client of clients) {
    wrong.push(...client.refused.splice(0));
    // A deleted image has nothing more to tell once a restart confirmed it.
    client.images.splice(0, client.images.length, ...client.images.filter((image) => image.exists.sure));
  }
  return wrong;
}

/** The sweep of the start may still be running: what it must have removed is looked at until it is gone. */
async function orphans(running: TestNode, models: readonly ImageModel[]): Promise<readonly string[]> {
  const expected = models.filter((model) => model.exists.sure && model.content.sure !== null).length * FILES_PER_IMAGE;
  try {
    await vi.waitFor(async () => {
      const files = await storedFiles(running.dataDir);
      if (files.length !== expected)
        throw new Error(`${files.length} files for ${expected / FILES_PER_IMAGE} images: ${files.join(', ')}`);
    }, SWEEP_LIMIT_MS);
    return [];
  } catch (error) {
    return [String(error)];
  }
}

it(
  `keeps every acknowledged change and nothing half done over ${KILLS} kills`,
  async () => {
    const random = new SeededRandom(testSeed());
    console.log(`kill test: ORIEL_SEED=${random.seed} ORIEL_KILLS=${KILLS}`);
    const clients = Array.from(
      { length: CLIENTS },
      () => new KillClient(new SeededRandom(random.between(0, 2 ** 32 - 1))),
    );
    let interrupted = 0;
    for (let round = 1; round <= KILLS; round += 1) {
      node = await startNode({ dataDir: folder.path });
      const rest = new RestClient(node.httpUrl);
      expect(await inspect(node, rest, clients), `seed ${random.seed}, before kill ${round}`).toEqual([]);
      let dead = false;
      const work = clients.map((client) => client.workUntilDead(rest, () => dead));
      // The kill falls some acknowledged changes and a few milliseconds later, however slow the machine is.
      const enough = acknowledged(clients) + random.between(2, 8);
      await eventually(
        () => Promise.resolve(acknowledged(clients)),
        (count) => count >= enough,
      );
      await pause(random.between(0, 40));
      dead = true;
      await node.kill('SIGKILL');
      await Promise.all(work);
      interrupted += clients.flatMap((client) => client.images).filter((image) => image.isUnsettled).length;
      if (round % PROGRESS_EVERY === 0) console.log(`${round} kills`);
    }
    node = await startNode({ dataDir: folder.path });
    const rest = new RestClient(node.httpUrl);
    for (const model of clients.flatMap((client) => client.images)) model.bytesUnchecked = true;
    expect(await inspect(node, rest, clients), `seed ${random.seed}, at the end`).toEqual([]);
    for (const kind of ['create', 'upload', 'rename', 'delete'] as const) {
      const count = clients.reduce((sum, client) => sum + client.done[kind], 0);
      expect(count, `${kind}s acknowledged`).toBeGreaterThan(0);
    }
    expect(interrupted, 'changes under way at a kill').toBeGreaterThan(KILLS / 4);
  },
  // A kill takes a second or two, ten times that on a machine with other work.
  KILLS * 15_000 + 60_000,
);
