/**
 * The bytes of images over several nodes. A download whose node is lost goes on at another one from the exact byte; an upload
 * goes elsewhere only while nothing of its source was taken.
 */
import type { Metadata } from 'nice-grpc-common';
import { failedWith, isUnreachable, ServiceError } from '../../base/service-error.js';
import type { Image } from '../../gen/oriel/catalog/v1/image.js';
import type { ByteStreams, CallOptions, OpenedRead, RangeRequest, ReadRequest } from '../byte-streams.js';
import type { CallerPositions } from './caller-positions.js';
import { mayGoElsewhere, type NodePool, type Stay } from './node-pool.js';

/** A read that is open at a node. */
interface OpenAt {
  readonly read: OpenedRead;
  readonly stay: Stay;
}

/** Binds the byte streams to the nodes of the pool. */
export function pooledBytes(pool: NodePool, positions: CallerPositions): ByteStreams {
  return {
    async openRead(request, call) {
      const metadata = positions.carriedBy(call.metadata, 'written');
      const open = await openSomewhere(pool, request, callWith(call, metadata));
      if (open === undefined) return undefined;
      return { ...open.read, chunks: chunksFrom(pool, open, request, callWith(call, metadata)) };
    },
    write: (request, source, call) => write(pool, positions, { request, source, call }),
  };
}

function callWith({ signal, onHeader }: CallOptions, metadata: Metadata): CallOptions {
  return { metadata, signal, ...(onHeader === undefined ? {} : { onHeader }) };
}

/** Opens the read at the first node that can; the stay ends with the read. */
async function openSomewhere(pool: NodePool, request: ReadRequest, call: CallOptions): Promise<OpenAt | undefined> {
  const failures: unknown[] = [];
  for (const stay of pool.stays(call.signal)) {
    let read: OpenedRead | undefined;
    try {
      read = await stay.backend.bytes.openRead(request, { ...call, signal: stay.signal });
      stay.answered();
      return read === undefined ? undefined : { read, stay };
    } catch (error) {
      const failure = stay.failure(error);
      if (call.signal.aborted || !mayGoElsewhere(failure)) throw failure;
      failures.push(failure);
    } finally {
      if (read === undefined) stay.end();
    }
  }
  throw pool.verdict(failures);
}

async function* chunksFrom(
  pool: NodePool,
  opened: OpenAt,
  { imageId, prefer = [] }: ReadRequest,
  call: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { offsetBytes, lengthBytes } = opened.read;
  const lastByte = offsetBytes + lengthBytes - 1;
  let at = opened;
  let failures = 0;
  let sentBytes = 0;
  try {
    while (sentBytes < lengthBytes) {
      try {
        for await (const chunk of at.read.chunks) {
          sentBytes += chunk.byteLength;
          yield chunk;
        }
        return;
      } catch (error) {
        const failure = at.stay.failure(error, 'midway');
        failures += 1;
        if (call.signal.aborted || !mayGoElsewhere(failure) || failures > pool.size) throw failure;
        if (sentBytes === lengthBytes) return;
        at.stay.end();
        const range: RangeRequest = { kind: 'from', firstByte: offsetBytes + sentBytes, lastByte };
        at = await continuation(pool, opened.read, { imageId, prefer, range }, call);
      }
    }
  } finally {
    at.stay.end();
  }
}

/** Opens the rest of a read at another node; it must be the same data. */
async function continuation(
  pool: NodePool,
  before: OpenedRead,
  request: ReadRequest & { readonly range: { readonly firstByte: number } },
  call: CallOptions,
): Promise<OpenAt> {
  const open = await openSomewhere(pool, request, call);
  const { firstByte } = request.range;
  const restBytes = before.offsetBytes + before.lengthBytes - firstByte;
  const read = open?.read;
  if (
    open !== undefined &&
    read?.offsetBytes === firstByte &&
    read.lengthBytes === restBytes &&
    read.sizeBytes === before.sizeBytes &&
    read.image.checksum === before.image.checksum
  )
    return open;
  open?.stay.end();
  await read?.chunks[Symbol.asyncIterator]().return?.();
  throw new ServiceError('UPSTREAM_FAILED', `another node has other data of the image from byte ${firstByte} on`);
}

async function write(
  pool: NodePool,
  positions: CallerPositions,
  upload: {
    readonly request: Parameters<ByteStreams['write']>[0];
    readonly source: AsyncIterable<Uint8Array>;
    readonly call: CallOptions;
  },
): Promise<Image> {
  const { request, source, call } = upload;
  const onHeader = (header: Metadata): void => {
    positions.note(call.metadata, header, 'change');
    call.onHeader?.(header);
  };
  const state = { begun: false };
  const failures: unknown[] = [];
  for (const stay of pool.stays(call.signal)) {
    const watched = (async function* () {
      state.begun = true;
      // The bytes are there once: the upload now ends where it began, for better or worse.
      stay.hold();
      yield* source;
    })();
    try {
      return await stay.backend.bytes.write(request, watched, {
        metadata: call.metadata,
        signal: stay.signal,
        onHeader,
      });
    } catch (error) {
      const failure = stay.failure(error, state.begun ? 'midway' : 'at the start');
      // A node that was lost may have begun: what the next one says then is about that.
      const lost = failures.find(isUnreachable);
      if (lost !== undefined && failedWith(failure, 'STATE_CONFLICT')) throw lost;
      if (state.begun || call.signal.aborted || !mayGoElsewhere(failure)) throw failure;
      failures.push(failure);
    } finally {
      stay.end();
    }
  }
  throw pool.verdict(failures);
}
