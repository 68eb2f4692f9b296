/** Fills the partial file of a target with the disk inside the data of an image, as raw. */
import { ServiceError } from '../base/service-error.js';
import type { FileMap } from '../blocks/file-map.js';
import { checkDeclaredFormat } from '../formats/match.js';
import { inspectImage } from '../formats/probe.js';
import { openQcow2Disk } from '../formats/qcow2/qcow2-disk.js';
import { fillPart, type Filled, type Filling, told } from './fill-part.js';
import type { ReadableData } from './open-download.js';
import type { Timer } from './ports/clock.js';
import { readLocations, type ReadingContext } from './read-locations.js';
import { UnitReader } from './unit-reader.js';

/** Containers that are the disk itself. */
const BARE: readonly (string | null)[] = ['bare', 'ami', 'ari', 'aki'];

export interface ConvertingContext extends ReadingContext {
  /** The largest disk that is written. */
  readonly diskBytesMax: number;
}

/**
 * Fills the partial file with the disk inside. UNSUPPORTED_MEDIA: the content is not what the image says, or not safe to open.
 * NOT_IMPLEMENTED: a format that cannot be read. LIMIT_EXCEEDED: a disk larger than an image may be. Others as fillPart.
 */
export async function fillPartRaw(context: ConvertingContext, filling: Filling): Promise<Filled> {
  const { source, control } = filling;
  const { image, data } = source;
  if (!BARE.includes(image.containerFormat))
    throw new ServiceError(
      'UNSUPPORTED_MEDIA',
      `The container of image ${image.id} is ${image.containerFormat ?? 'unknown'}; as raw come disks without one (bare).`,
    );
  const map = await context.maps.of(data);
  const reader = readerOf(context, source, { map, signal: control.signal });
  try {
    const readAt = (offsetBytes: number, lengthBytes: number) => reader.read(offsetBytes, lengthBytes);
    const inspection = await inspectImage(readAt, data.sizeBytes);
    const declared = checkDeclaredFormat(image.diskFormat ?? '', inspection);
    const problem = declared.ok ? inspection.reasons[0] : declared.message;
    if (problem !== undefined)
      throw new ServiceError('UNSUPPORTED_MEDIA', `Image ${image.id} is not opened as a disk: ${problem}.`);
    if (inspection.format !== 'qcow2') {
      if (['raw', 'gpt', 'iso'].includes(inspection.format)) return await fillPart(context, filling);
      throw new ServiceError(
        'NOT_IMPLEMENTED',
        `Only qcow2 and raw come as raw, image ${image.id} is ${inspection.format}.`,
      );
    }
    if (map === null)
      throw new ServiceError(
        'STATE_CONFLICT',
        `The data of image ${image.id} has no map to verify it by while it is converted. Copy it into a store first (oriel image copy).`,
      );
    const disk = await openQcow2Disk(readAt, data.sizeBytes, turnOf(context.timer));
    if (disk.sizeBytes > context.diskBytesMax)
      throw new ServiceError(
        'LIMIT_EXCEEDED',
        `The disk of image ${image.id} has ${disk.sizeBytes} bytes, more than image_size_cap, which is ${context.diskBytesMax}.`,
      );
    return await writeDisk(disk, filling);
  } finally {
    await reader.close();
  }
}

function turnOf(timer: Timer): () => Promise<void> {
  return () => new Promise((resolve) => void timer.schedule(resolve, 0));
}

function readerOf(
  context: ReadingContext,
  { image, data, order }: ReadableData,
  { map, signal }: { readonly map: FileMap | null; readonly signal: AbortSignal },
): UnitReader {
  const known = map === null ? {} : { map };
  return new UnitReader((offsetBytes, stop) => {
    const range = { offsetBytes, lengthBytes: data.sizeBytes - offsetBytes };
    return readLocations(context, order(), { image, data, range, signal: AbortSignal.any([signal, stop]), ...known });
  }, data.sizeBytes);
}

async function writeDisk(disk: Awaited<ReturnType<typeof openQcow2Disk>>, filling: Filling): Promise<Filled> {
  const { target, options, control } = filling;
  const part = await target.openPart();
  try {
    // Nothing says which part of an earlier disk is right.
    await part.startAt(0, options);
    let doneBytes = 0;
    for await (const piece of disk.pieces()) {
      control.signal.throwIfAborted();
      if (piece.kind === 'zero') part.skip(piece.lengthBytes);
      else await part.write(piece.bytes);
      const addedBytes = piece.kind === 'zero' ? piece.lengthBytes : piece.bytes.length;
      doneBytes = told(control, { doneBytes, addedBytes, totalBytes: disk.sizeBytes });
    }
    await part.end();
    return { way: 'convert', sizeBytes: disk.sizeBytes, resumedBytes: 0 };
  } finally {
    await part.close();
  }
}
