/** Reading the whole of an object for its digests, and then judging the very bytes that were digested. */
import { failedWith, ServiceError } from '../base/service-error.js';
import { UNIT_BYTES } from '../base/units.js';
import { type FileMap, verifyUnit } from '../blocks/file-map.js';
import type { Location } from '../domain/location.js';
import type { DataContext } from './data-context.js';
import { judgeContent } from './inspect-content.js';
import { openReadable } from './object-reads.js';
import type { Digests } from './ports/digester.js';
import { unitsOf } from './unit-stream.js';
import { UnitReader } from './unit-reader.js';

/** A source that is slower holds one of the few slots of this work for others. */
const LEAST_BYTES_PER_S = 256 * 1024;

type ReadingParts = Pick<
  DataContext,
  | 'digester'
  | 'formatMatch'
  | 'log'
  | 'nodeId'
  | 'ownsUnnamed'
  | 'peers'
  | 'storeIdleMs'
  | 'stores'
  | 'timer'
  | 'unitDigest'
>;

interface StoredObject {
  readonly location: Location;
  readonly sizeBytes: number;
}

/** What an image says that its content is. */
export interface Formats {
  readonly diskFormat: string;
  readonly containerFormat: string;
}

/** Reads the object to its end. Fails as openReadable and unitsOf. */
export async function readForDigests(
  context: ReadingParts,
  { location, sizeBytes, osHashAlgo }: StoredObject & { readonly osHashAlgo: string },
  signal: AbortSignal,
): Promise<Digests> {
  const session = context.digester.open(osHashAlgo);
  const stop = new AbortController();
  try {
    const range = { offsetBytes: 0, lengthBytes: sizeBytes };
    const source = await openReadable(context, { location, sizeBytes }, range, AbortSignal.any([signal, stop.signal]));
    const cut = unitsOf(source, { lengthBytes: sizeBytes, limit: context, leastBytesPerS: LEAST_BYTES_PER_S });
    const units = session.units(cut)[Symbol.asyncIterator]();
    while ((await units.next()).done !== true) signal.throwIfAborted();
    return await session.finish();
  } finally {
    stop.abort();
    session.abort();
  }
}

/**
 * Inspects the object by reads that are checked by the digests of its units: a source that has one object for who looks and another
 * for who reads is found out. Returns the virtual size. UNSUPPORTED_MEDIA: see inspectContent. DATA_CORRUPT: it gave other bytes than
 * before. Others as readForDigests.
 */
export async function inspectDigested(
  context: ReadingParts,
  image: Formats & { readonly imageId: string },
  object: StoredObject & { readonly map: FileMap },
  signal: AbortSignal,
): Promise<number | null> {
  const reader = new UnitReader(
    (offsetBytes, stop) => checkedUnits(context, object, offsetBytes, AbortSignal.any([signal, stop])),
    object.sizeBytes,
  );
  try {
    const readAt = (offsetBytes: number, lengthBytes: number) => reader.read(offsetBytes, lengthBytes);
    return await judgeContent(context, image, { readAt, sizeBytes: object.sizeBytes });
  } finally {
    await reader.close();
  }
}

/** Tells whether inspectDigested found the content wrong, rather than that it could not be read. */
export function isWrongContent(error: unknown): boolean {
  return failedWith(error, 'UNSUPPORTED_MEDIA') || failedWith(error, 'DATA_CORRUPT');
}

async function checkedUnits(
  context: ReadingParts,
  { location, sizeBytes, map }: StoredObject & { readonly map: FileMap },
  offsetBytes: number,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const range = { offsetBytes, lengthBytes: sizeBytes - offsetBytes };
  const source = await openReadable(context, { location, sizeBytes }, range, signal);
  const units = unitsOf(source, { lengthBytes: range.lengthBytes, limit: context });
  return checked(units);

  async function* checked(from: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    let unitIndex = offsetBytes / UNIT_BYTES;
    for await (const unit of from) {
      if (!verifyUnit(map, unitIndex, unit, context.unitDigest))
        throw new ServiceError(
          'DATA_CORRUPT',
          `location ${location.id}: unit ${unitIndex} is not what was read before`,
        );
      unitIndex += 1;
      yield unit;
    }
  }
}
