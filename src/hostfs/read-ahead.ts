import type { FileHandle } from 'node:fs/promises';
import { ServiceError } from '../base/service-error.js';
import { UNIT_BYTES } from '../base/units.js';

/** Buffers in rotation: one at the consumer, two being read (3.3 GB/s; createReadStream at its defaults 0.63). */
const BUFFER_COUNT = 3;
/** Whole buffers kept for the next reader: one fast reader's worth and some. */
const KEPT_BUFFERS = 8;

const keptBuffers: Buffer[] = [];

export interface ReadAheadRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/**
 * Reads a range in chunks of 1 MiB (the last may be shorter), two chunks ahead of the consumer. A chunk's memory is reused
 * once the next one is asked for. DATA_CORRUPT when the file ends inside the range; else the errors of the system calls,
 * or the signal's reason.
 */
export async function* readAhead(
  file: FileHandle,
  range: ReadAheadRange,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const endBytes = range.offsetBytes + range.lengthBytes;
  const pending: Promise<ReadChunk>[] = [];
  const idle = takeBuffers(range.lengthBytes);
  let nextOffset = range.offsetBytes;
  let atConsumer: Buffer | undefined;

  const readMore = (): void => {
    while (nextOffset < endBytes) {
      const buffer = idle.pop();
      if (buffer === undefined) return;
      const lengthBytes = Math.min(buffer.length, endBytes - nextOffset);
      const read = readFully(file, buffer, { offsetBytes: nextOffset, lengthBytes });
      // Awaited in order below; until then a failure must not count as unhandled.
      read.catch(() => undefined);
      pending.push(read);
      nextOffset += lengthBytes;
    }
  };

  try {
    for (;;) {
      signal?.throwIfAborted();
      if (atConsumer !== undefined) idle.push(atConsumer);
      atConsumer = undefined;
      readMore();
      const next = pending.shift();
      if (next === undefined) return;
      const { buffer, lengthBytes } = await next;
      signal?.throwIfAborted();
      atConsumer = buffer;
      yield buffer.subarray(0, lengthBytes);
    }
  } finally {
    // The reads still under way write into the buffers: they end before anybody else gets those.
    const rest = await Promise.allSettled(pending);
    if (atConsumer !== undefined) idle.push(atConsumer);
    for (const result of rest) if (result.status === 'fulfilled') idle.push(result.value.buffer);
    for (const buffer of idle)
      if (buffer.length === UNIT_BYTES && keptBuffers.length < KEPT_BUFFERS) keptBuffers.push(buffer);
  }
}

interface ReadChunk {
  readonly buffer: Buffer;
  readonly lengthBytes: number;
}

/** A short range gets buffers of its own size, so that small reads stay small. */
function takeBuffers(lengthBytes: number): Buffer[] {
  if (lengthBytes < UNIT_BYTES) return lengthBytes === 0 ? [] : [Buffer.allocUnsafeSlow(lengthBytes)];
  const count = Math.min(BUFFER_COUNT, Math.ceil(lengthBytes / UNIT_BYTES));
  return Array.from({ length: count }, () => keptBuffers.pop() ?? Buffer.allocUnsafeSlow(UNIT_BYTES));
}

async function readFully(file: FileHandle, buffer: Buffer, range: ReadAheadRange): Promise<ReadChunk> {
  let read = 0;
  while (read < range.lengthBytes) {
    const { bytesRead } = await file.read(buffer, read, range.lengthBytes - read, range.offsetBytes + read);
    if (bytesRead === 0) {
      throw new ServiceError(
        'DATA_CORRUPT',
        `expected ${range.lengthBytes} bytes at offset ${range.offsetBytes}, the file ends at ${range.offsetBytes + read}`,
      );
    }
    read += bytesRead;
  }
  return { buffer, lengthBytes: range.lengthBytes };
}
