import type { ImageStore } from '../../src/application/ports/image-store.js';
import { ServiceError } from '../../src/base/service-error.js';

/** More than an inspection asks for at once. */
export const WHOLE_BYTES = 2 * 1024 * 1024;

/** What goes wrong in the stores of a test. */
export interface StoreFaults {
  /** Reads of the mirror fail while this is above 0, once each. */
  failures: number;
  /** What the mirror answers to reads of so many bytes or more, instead of what lies there. */
  secret: Buffer | undefined;
  /** Called once, at the next read of so many bytes or more. */
  meanwhile: (() => Promise<unknown>) | undefined;
  /** Nothing can be stored while this is above 0. */
  fullTimes: number;
}

/** A mirror over a store, whose objects `dead…` are away. */
export function mirrorOver(store: ImageStore, faults: StoreFaults): ImageStore {
  async function* answered(...[key, range, options]: Parameters<ImageStore['read']>): AsyncGenerator<Uint8Array> {
    const isWhole = range.lengthBytes >= WHOLE_BYTES;
    const { meanwhile: call, secret } = faults;
    if (isWhole) faults.meanwhile = undefined;
    if (isWhole) await call?.();
    if (secret !== undefined && isWhole)
      yield secret.subarray(range.offsetBytes, range.offsetBytes + range.lengthBytes);
    else yield* store.read(key, range, options);
  }
  return {
    ...{ id: store.id, type: 'file', put: store.put.bind(store), stat: store.stat.bind(store) },
    ...{ delete: store.delete.bind(store), capacity: store.capacity.bind(store), check: store.check.bind(store) },
    url: (key) => `http://mirror/${key}`,
    read: (key, range, options) => {
      if (key.startsWith('dead')) throw new Error('this object is away');
      if (faults.failures <= 0) return answered(key, range, options);
      faults.failures -= 1;
      throw new Error('the mirror is away');
    },
  };
}

/** A store that may be full. */
export function fillingStore(store: ImageStore, faults: StoreFaults): ImageStore {
  return {
    ...{ id: store.id, type: 'file', stat: store.stat.bind(store), read: store.read.bind(store) },
    ...{ delete: store.delete.bind(store), capacity: store.capacity.bind(store), check: store.check.bind(store) },
    url: store.url.bind(store),
    put: (key, source, options) => {
      if (faults.fullTimes <= 0) return store.put(key, source, options);
      faults.fullTimes -= 1;
      throw new ServiceError('LIMIT_EXCEEDED', 'the store is full');
    },
  };
}
