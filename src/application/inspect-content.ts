import type { ObjectKey } from '../base/brand.js';
import { ServiceError } from '../base/service-error.js';
import { checkDeclaredFormat } from '../formats/match.js';
import { inspectImage } from '../formats/probe.js';
import type { DataContext } from './data-context.js';
import type { ImageStore } from './ports/image-store.js';

/**
 * Looks into stored content before the image may turn active (Images API v2 §6.6 "Inspection rules", §14.3) and returns
 * the virtual size, or null when the format has none that can be read. UNSUPPORTED_MEDIA: the content is not what
 * `disk_format` says, or could make a host that opens it read other files.
 */
export async function inspectContent(
  context: Pick<DataContext, 'formatMatch' | 'log'>,
  image: {
    readonly imageId: string;
    readonly diskFormat: string;
    readonly containerFormat: string;
    readonly store: ImageStore;
    readonly signal: AbortSignal;
  },
  object: { readonly key: ObjectKey; readonly sizeBytes: number },
): Promise<number | null> {
  const { store, signal } = image;
  return judgeContent(context, image, {
    readAt: (offsetBytes, lengthBytes) => readPart(store, object, { offsetBytes, lengthBytes }, signal),
    sizeBytes: object.sizeBytes,
  });
}

/** The same for content that is read in another way. */
export async function judgeContent(
  context: Pick<DataContext, 'formatMatch' | 'log'>,
  image: { readonly imageId: string; readonly diskFormat: string; readonly containerFormat: string },
  content: {
    readonly readAt: (offsetBytes: number, lengthBytes: number) => Promise<Uint8Array>;
    readonly sizeBytes: number;
  },
): Promise<number | null> {
  // Other containers are archives; an object without data has no content to be wrong.
  if (image.containerFormat !== 'bare' || content.sizeBytes === 0) return null;
  const inspection = await inspectImage(content.readAt, content.sizeBytes);
  const declared = checkDeclaredFormat(image.diskFormat, inspection);
  const problem = declared.ok ? (inspection.safe ? undefined : inspection.reasons.join('; ')) : declared.message;
  if (problem !== undefined) {
    if (context.formatMatch === 'strict')
      throw new ServiceError('UNSUPPORTED_MEDIA', `The content was refused by its inspection: ${problem}`);
    if (context.formatMatch === 'warn')
      context.log.warn(
        { imageId: image.imageId, format: inspection.format, problem },
        'content unlike its disk_format',
      );
  }
  return inspection.virtualSizeBytes;
}

async function readPart(
  store: ImageStore,
  object: { readonly key: ObjectKey; readonly sizeBytes: number },
  range: { readonly offsetBytes: number; readonly lengthBytes: number },
  signal: AbortSignal,
): Promise<Uint8Array> {
  const lengthBytes = Math.max(0, Math.min(range.lengthBytes, object.sizeBytes - range.offsetBytes));
  const part = new Uint8Array(lengthBytes);
  if (lengthBytes === 0) return part;
  let filled = 0;
  for await (const chunk of store.read(object.key, { offsetBytes: range.offsetBytes, lengthBytes }, { signal })) {
    part.set(chunk, filled);
    filled += chunk.length;
  }
  return part.subarray(0, filled);
}
