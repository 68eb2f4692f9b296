/** Zero runs are looked for in pieces of this size, aligned in the file (DESIGN §5, "Full image"). */
const PIECE_BYTES = 64 * 1024;

const ZEROS = Buffer.alloc(PIECE_BYTES);

/** A part of a chunk, in bytes from the start of the chunk. */
export interface ChunkRun {
  readonly start: number;
  readonly end: number;
}

/** What has to be written of a chunk that begins at this offset of a sparse file: all but its pieces of zeros. */
export function* dataRunsOf(chunk: Uint8Array, offsetBytes: number): Generator<ChunkRun, void, undefined> {
  let start = 0;
  let at = 0;
  while (at < chunk.length) {
    const pieceEnd = Math.min(chunk.length, at + PIECE_BYTES - ((offsetBytes + at) % PIECE_BYTES));
    if (isZero(chunk, at, pieceEnd)) {
      if (at > start) yield { start, end: at };
      start = pieceEnd;
    }
    at = pieceEnd;
  }
  if (chunk.length > start) yield { start, end: chunk.length };
}

function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  return bytes[start] === 0 && ZEROS.compare(bytes, start, end, 0, end - start) === 0;
}
