import {
  materializeImage,
  type Materialized,
  type MaterializeContext,
  findForFile,
} from '../application/materialize-image.js';
import type { TargetPlace } from '../application/ports/target-files.js';
import { ServiceError } from '../base/service-error.js';
import {
  type MaterializedFile,
  type MaterializeImageRequest,
  type MaterializeImageResponse,
  MaterializeWay,
} from '../gen/oriel/data/v1/data_service.js';
import type { Reading } from './byte-stream-service.js';
import type { ServiceContext } from './service-context.js';

const WAYS: Readonly<Record<Materialized['way'], MaterializeWay>> = {
  reflink: MaterializeWay.REFLINK,
  'hard-link': MaterializeWay.HARD_LINK,
  copy: MaterializeWay.COPY,
  convert: MaterializeWay.CONVERT,
};

/** Puts images into files of the host, for the data service. */
export class ImageFileService {
  readonly #context: MaterializeContext;
  readonly #reading: Reading;

  constructor(context: MaterializeContext, reading: Reading) {
    this.#context = context;
    this.#reading = reading;
  }

  /** Answers how far it is and then the file. A caller that is slow to read misses progress, not the end. */
  async *materialize(
    request: MaterializeImageRequest,
    context: ServiceContext,
  ): AsyncGenerator<MaterializeImageResponse, void, undefined> {
    const stop = new AbortController();
    const progress = new LatestProgress();
    const signal = AbortSignal.any([context.signal, stop.signal]);
    const work = this.#run(request, context, { signal, report: (done, total) => progress.set(done, total) });
    const file = work.finally(() => progress.end());
    // Awaited below.
    file.catch(() => undefined);
    try {
      for await (const { doneBytes, totalBytes } of progress)
        yield { part: { $case: 'progress', value: { done: BigInt(doneBytes), total: BigInt(totalBytes) } } };
      yield { part: { $case: 'file', value: await file } };
    } finally {
      stop.abort();
    }
  }

  async #run(
    request: MaterializeImageRequest,
    context: ServiceContext,
    control: { readonly signal: AbortSignal; readonly report: (doneBytes: number, totalBytes: number) => void },
  ): Promise<MaterializedFile> {
    const { imageId, prefer, overwrite, hardLink, noFlush } = request;
    const caller = await context.caller();
    const place = placeOf(request);
    const source = await this.#reading(imageId, context, () =>
      findForFile(this.#context.data, caller, { imageId, prefer }),
    );
    const raw = request.raw || place.kind === 'nova';
    const options = { raw, overwrite, hardLink, flush: !noFlush };
    const made = await materializeImage(this.#context, { imageId, source, place }, options, control);
    const { path, sizeBytes, way, resumedBytes } = made;
    return { imageId, path, size: BigInt(sizeBytes), way: WAYS[way], resumed: BigInt(resumedBytes) };
  }
}

function placeOf({ target, imageId }: MaterializeImageRequest): TargetPlace {
  switch (target?.$case) {
    case 'path':
      return { kind: 'path', path: target.value };
    case 'novaInstances':
      return { kind: 'nova', instances: target.value, imageId };
    case undefined:
      throw new ServiceError('INVALID_ARGUMENT', 'expected path or nova_instances, got neither');
  }
}

interface ProgressPoint {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** The last progress that nobody has seen yet. */
class LatestProgress implements AsyncIterable<ProgressPoint> {
  #latest: ProgressPoint | undefined;
  #ended = false;
  #wake = (): void => undefined;

  set(doneBytes: number, totalBytes: number): void {
    this.#latest = { doneBytes, totalBytes };
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ProgressPoint, void, undefined> {
    for (;;) {
      const point = this.#latest;
      this.#latest = undefined;
      if (point !== undefined) yield point;
      else if (this.#ended) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}
