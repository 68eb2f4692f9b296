/** The bytes of images between files and a node. */
import { createHash } from 'node:crypto';
import { type FileHandle, open, rename, stat, unlink } from 'node:fs/promises';
import { getHashes } from 'node:crypto';
import { ServiceError } from '../base/service-error.js';
import { namingLater, systemError } from '../base/system-error.js';
import { UNIT_BYTES } from '../base/units.js';
import type { Image } from '../gen/oriel/catalog/v1/image.js';
import type { DownloadHeader, UploadImageRequest } from '../gen/oriel/data/v1/data_service.js';
import type { NodeClient } from '../rpc/node-client.js';
import type { CliDeps } from './deps.js';
import { write } from './output.js';
import { type Progress, startProgress } from './progress.js';

/** A file, or `-` for the standard stream. */
export interface Upload {
  readonly imageId: string;
  readonly file: string;
  readonly store: string;
}

/** Sends a file as the data of an image. One chunk of 1 MiB is read at a time, at the pace of the node. */
export async function uploadFile(client: NodeClient, deps: CliDeps, upload: Upload): Promise<Image> {
  if (upload.file === '-') return send(client, deps, upload, { bytes: inUnits(deps.stdin), sizeBytes: null });
  const handle = await namingLater(upload.file, () => open(upload.file, 'r'));
  try {
    const facts = await handle.stat();
    if (facts.isDirectory()) throw new ServiceError('INVALID_ARGUMENT', `${upload.file} is a folder, not a file`);
    // A pipe or a device tells no size.
    const sizeBytes = facts.isFile() ? facts.size : null;
    return await send(client, deps, upload, { bytes: readUnits(handle), sizeBytes });
  } finally {
    await handle.close();
  }
}

interface Source {
  readonly bytes: AsyncIterable<Buffer>;
  readonly sizeBytes: number | null;
}

async function send(client: NodeClient, deps: CliDeps, upload: Upload, source: Source): Promise<Image> {
  const progress = startProgress(deps.stderr, 'uploading', source.sizeBytes);
  try {
    const { image } = await client.data.uploadImage(requests(upload, source, progress));
    return present(image);
  } finally {
    progress.stop();
  }
}

async function* requests(upload: Upload, source: Source, progress: Progress): AsyncGenerator<UploadImageRequest> {
  const size = source.sizeBytes === null ? undefined : BigInt(source.sizeBytes);
  yield { part: { $case: 'header', value: { imageId: upload.imageId, store: upload.store, size } } };
  for await (const chunk of source.bytes) {
    yield { part: { $case: 'chunk', value: chunk } };
    progress.add(chunk.length);
  }
}

async function* readUnits(handle: FileHandle): AsyncGenerator<Buffer> {
  for (;;) {
    // A buffer of its own for each chunk: gRPC may hold it until the transport takes it.
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(UNIT_BYTES), 0, UNIT_BYTES, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

async function* inUnits(stream: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
  for await (const given of stream) {
    const chunk = Buffer.isBuffer(given) ? given : Buffer.from(String(given));
    for (let start = 0; start < chunk.length; start += UNIT_BYTES) yield chunk.subarray(start, start + UNIT_BYTES);
  }
}

/** Where a download goes. */
export interface Download {
  readonly imageId: string;
  readonly file: string;
  /** Replace the file, and take over what an interrupted download left. */
  readonly force: boolean;
}

/** What came, and how it was verified. */
export interface Downloaded {
  readonly sizeBytes: number;
  /** The algorithm and the digest that agreed; null when the image has none. */
  readonly verified: { readonly algorithm: string; readonly digest: string } | null;
}

/**
 * Receives the data of an image into FILE.part, verifies it by os_hash_value (or the MD5), and gives it its name at the end, so
 * that FILE is whole or not there. ALREADY_EXISTS: FILE or FILE.part is there. DATA_CORRUPT: other bytes than promised.
 */
export async function downloadFile(client: NodeClient, deps: CliDeps, download: Download): Promise<Downloaded> {
  if (download.file === '-') {
    return receive(client, deps, download.imageId, async (chunk) => write(deps.stdout, chunk));
  }
  const part = `${download.file}.part`;
  if (!download.force && (await exists(download.file))) {
    throw new ServiceError('ALREADY_EXISTS', `${download.file} is there already; --force replaces it`);
  }
  const handle = await openPart(part, download.force);
  try {
    const result = await receive(client, deps, download.imageId, async (chunk) => writeWhole(handle, chunk));
    await handle.sync();
    await rename(part, download.file);
    return result;
  } catch (error) {
    await unlink(part);
    throw error;
  } finally {
    await handle.close();
  }
}

async function receive(
  client: NodeClient,
  deps: CliDeps,
  imageId: string,
  take: (chunk: Buffer) => Promise<void>,
): Promise<Downloaded> {
  let header: DownloadHeader | undefined;
  let check: Verification | undefined;
  let progress: Progress | undefined;
  let sizeBytes = 0;
  try {
    for await (const { part } of client.data.downloadImage({ imageId })) {
      if (part?.$case === 'header') {
        header = part.value;
        check = verificationOf(part.value);
        progress = startProgress(deps.stderr, 'downloading', Number(part.value.length));
      } else if (part !== undefined) {
        check?.hash.update(part.value);
        await take(part.value);
        sizeBytes += part.value.length;
        progress?.add(part.value.length);
      }
    }
  } finally {
    progress?.stop();
  }
  if (header === undefined || BigInt(sizeBytes) !== header.length) {
    const promised = header === undefined ? 'nothing' : `${header.length.toString()} bytes`;
    throw new ServiceError('DATA_CORRUPT', `the node promised ${promised} and sent ${sizeBytes} bytes`);
  }
  return { sizeBytes, verified: check === undefined ? null : verify(check) };
}

interface Verification {
  readonly algorithm: string;
  readonly expected: string;
  readonly hash: ReturnType<typeof createHash>;
}

function verificationOf(header: DownloadHeader): Verification | undefined {
  const { osHashAlgo, osHashValue, checksum } = header;
  if (osHashValue !== '' && getHashes().includes(osHashAlgo)) {
    return { algorithm: osHashAlgo, expected: osHashValue, hash: createHash(osHashAlgo) };
  }
  return checksum === '' ? undefined : { algorithm: 'md5', expected: checksum, hash: createHash('md5') };
}

function verify({ algorithm, expected, hash }: Verification): { readonly algorithm: string; readonly digest: string } {
  const digest = hash.digest('hex');
  if (digest === expected) return { algorithm, digest };
  const message = `the data does not fit the image: expected ${algorithm} ${expected}, found ${digest}`;
  throw new ServiceError('DATA_CORRUPT', message);
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}

async function openPart(part: string, force: boolean): Promise<FileHandle> {
  try {
    return await open(part, force ? 'w' : 'wx');
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) throw systemError(part, cause);
    const message = `${part} is there: another download runs, or one was killed; then remove it or give --force`;
    throw new ServiceError('ALREADY_EXISTS', message, { cause });
  }
}

async function writeWhole(handle: FileHandle, chunk: Buffer): Promise<void> {
  for (let at = 0; at < chunk.length; ) at += (await handle.write(chunk, at, chunk.length - at)).bytesWritten;
}

/** Every answer of the catalog holds its image; proto3 cannot say so. */
export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new ServiceError('UPSTREAM_FAILED', 'the node answered without the image');
  return value;
}
