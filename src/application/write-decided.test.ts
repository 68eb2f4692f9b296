import { setImmediate as turn } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { asImageId, asProjectId, asUploadId, type ImageId } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import type { Image } from '../domain/image.js';
import type { CatalogContext } from './catalog-context.js';
import { ImageTurns } from './image-turns.js';
import type { CatalogReader, Effect, WriteResult } from './ports/catalog.js';
import { type Decided, writeDecided } from './write-decided.js';

const ID = idOf('11111111-1111-4111-8111-111111111111');

function idOf(text: string): ImageId {
  const id = asImageId(text);
  if (id === undefined) throw new Error('no id');
  return id;
}

const first: Image = {
  ...{ id: ID, version: 1, name: '', owner: asProjectId('p'), visibility: 'shared', protected: false, osHidden: false },
  ...{ diskFormat: null, containerFormat: null, minDiskGib: 0, minRamMib: 0, createdAtMs: 0, updatedAtMs: 0 },
  ...{ tags: [], properties: new Map(), status: 'queued' },
};

/** A catalog of one image whose commits end when the test says so. */
class SlowCatalog {
  stored: Image = first;
  readonly writes: { readonly effects: readonly Effect[]; readonly end: (error?: ServiceError) => void }[] = [];

  read<T>(query: (reader: CatalogReader) => T): Promise<T> {
    const none = () => undefined;
    const unknown = () => ({ epoch: 1, firstSeq: 1, lastSeq: 0 });
    return Promise.resolve().then(() =>
      query({
        image: (id) => (id === ID ? this.stored : undefined),
        imageVersion: () => this.stored.version,
        member: none,
        members: () => [],
        memberCount: () => 0,
        upload: none,
        uploadsOfNode: () => [],
        garbage: () => [],
        imagesAfter: () => [],
        pendingDeletes: () => [],
        work: () => [],
        workOf: () => undefined,
        nodes: () => [],
        node: none,
        operation: none,
        feedState: unknown,
        feedEndOf: none,
        changes: () => [],
      }),
    );
  }

  write(effects: readonly Effect[]): Promise<WriteResult> {
    return new Promise((resolve, reject) => {
      const end = (error?: ServiceError): void => {
        const [effect] = effects;
        const conflict = new ServiceError('VERSION_CONFLICT', 'another version');
        if (error !== undefined) reject(error);
        else if (effect?.kind === 'update-image' && effect.before.version !== this.stored.version) reject(conflict);
        else {
          if (effect?.kind === 'update-image') this.stored = effect.after;
          resolve({ position: { epoch: 1, frame: this.stored.version, opId: '' }, replayed: false });
        }
      };
      this.writes.push({ effects, end });
    });
  }
}

let catalog: SlowCatalog;
let context: CatalogContext;
beforeEach(() => {
  catalog = new SlowCatalog();
  const unused = () => {
    throw new Error('not in this test');
  };
  context = {
    catalog: Object.assign(catalog, {
      listImages: unused,
      waitFor: unused,
      onAdvance: unused,
      status: unused,
      close: unused,
    }),
    clock: { nowMs: () => 0 },
    ids: { uuid: () => 'op' },
    rules: unusedRules(),
    protection: { allowsEverything: true, allows: () => true },
    turns: new ImageTurns(),
  };
});

function unusedRules(): CatalogContext['rules'] {
  const limits = {
    ...{ pageSizeDefault: 1, pageSizeMax: 1, imagePropertyQuota: 1, imageTagQuota: 1, imageMemberQuota: 1 },
    ...{ imageLocationQuota: 1, imageSizeCapBytes: 1 },
  };
  return { limits, diskFormats: [], containerFormats: [] };
}

/** Appends a letter to the image's name. */
function append(letter: string, effectsBeside: readonly Effect[] = []): Promise<string> {
  return decided((image) => {
    const after: Image = { ...image, name: (image.name ?? '') + letter, version: image.version + 1 };
    return { result: after.name ?? '', effects: [{ kind: 'update-image', before: image, after }, ...effectsBeside] };
  });
}

function decided<T>(decide: (image: Image) => Decided<T>): Promise<T> {
  const operation = { opId: 'op', subject: '', repeatable: false };
  return writeDecided(context, { id: ID, operation }, (reader) => decide(reader.image(ID) ?? first));
}

async function settled(): Promise<void> {
  for (let round = 0; round < 5; round += 1) await turn();
}

describe('changes of one image', () => {
  it('decide on what the one before will make of it, and answer when their own commit is done', async () => {
    const answers: string[] = [];
    const all = ['a', 'b', 'c'].map((letter) => append(letter).then((name) => answers.push(name)));
    await settled();
    expect(catalog.writes).toHaveLength(3);
    expect(answers).toEqual([]);
    catalog.writes[0]?.end();
    await settled();
    expect(answers).toEqual(['a']);
    catalog.writes[1]?.end();
    catalog.writes[2]?.end();
    await Promise.all(all);
    expect(answers).toEqual(['a', 'ab', 'abc']);
    expect(catalog.stored.version).toBe(4);
  });

  it('decide anew when the one before fails', async () => {
    const lost = append('a');
    const kept = append('b');
    await settled();
    catalog.writes[0]?.end(new ServiceError('UNAVAILABLE', 'disk full'));
    catalog.writes[1]?.end();
    await expect(lost).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    await settled();
    catalog.writes[2]?.end();
    expect(await kept).toBe('b');
  });

  it('wait for a commit that touches more than the image before they decide', async () => {
    const both = append('a', [{ kind: 'delete-upload', uploadId: asUploadId('u') }]);
    const next = append('b');
    await settled();
    expect(catalog.writes).toHaveLength(1);
    catalog.writes[0]?.end();
    await both;
    await settled();
    catalog.writes[1]?.end();
    expect(await next).toBe('ab');
  });

  it.each([
    ['nothing to do', (image: Image): Decided<string> => ({ result: image.name ?? '', effects: [] })],
    [
      'a refusal',
      (image: Image): Decided<string> => {
        if (image.name === 'a') throw new ServiceError('LIMIT_EXCEEDED', 'full');
        return { result: image.name ?? '', effects: [] };
      },
    ],
  ])('hold back %s until the change it rests on is done', async (what, decide) => {
    const change = append('a');
    await settled();
    let ended = false;
    const resting = decided(decide).finally(() => (ended = true));
    resting.catch(() => undefined);
    await settled();
    expect(ended).toBe(false);
    catalog.writes[0]?.end();
    await change;
    if (what === 'a refusal') await expect(resting).rejects.toMatchObject({ reason: 'LIMIT_EXCEEDED' });
    else expect(await resting).toBe('a');
  });

  it('take a refusal back when the change it rested on is not done', async () => {
    const change = append('a');
    await settled();
    const resting = decided((image) => {
      if (image.name === 'a') throw new ServiceError('LIMIT_EXCEEDED', 'full');
      return { result: image.name ?? '', effects: [] };
    });
    await settled();
    catalog.writes[0]?.end(new ServiceError('UNAVAILABLE', 'disk full'));
    await expect(change).rejects.toMatchObject({ reason: 'UNAVAILABLE' });
    expect(await resting).toBe('');
  });
});
